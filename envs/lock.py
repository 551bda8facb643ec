"""The lock, envs/lock.txt: a version of every dependency of every extra, on Linux and macOS.

python envs/lock.py            after an edit of pyproject.toml; versions that still fit stay
python envs/lock.py --upgrade  the newest versions
python envs/lock.py --resolve  tells whether the base install, each extra and all of them resolve
"""

import hashlib
import json
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "envs/lock.txt"
PYTHONS, SYSTEMS = ("3.11", "3.12", "3.13"), ("linux", "darwin")
HEADER = """\
# Made by `python envs/lock.py` from dependencies with the SHA-256 {digest}
# To install these versions: pip install --constraint envs/lock.txt -e .
"""


def dependencies(pyproject: str) -> dict[str, list[str]]:
    """The requirements of the base install ("") and of each extra."""
    project = tomllib.loads(pyproject)["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def digest(pyproject: str) -> str:
    """SHA-256 of all requirements and of the versions of Python that they are for."""
    requires = tomllib.loads(pyproject)["project"]["requires-python"]
    decides = json.dumps([requires, dependencies(pyproject)], sort_keys=True)
    return hashlib.sha256(decides.encode()).hexdigest()


def drift(pyproject: str, lock: str) -> Iterator[str]:
    """Where a lock and the dependencies disagree, a line each."""
    if digest(pyproject) not in lock.splitlines()[0]:
        yield "the dependencies were edited after the lock was made"
    locked = defaultdict(list)
    for pin in (Requirement(line) for line in lock.splitlines() if not line.startswith("#")):
        locked[canonicalize_name(pin.name)].append(pin)
    own = tomllib.loads(pyproject)["project"]["name"]
    listed = (Requirement(text) for texts in dependencies(pyproject).values() for text in texts)
    wanted = [requirement for requirement in listed if requirement.name != own]
    for requirement, python, system in product(wanted, PYTHONS, SYSTEMS):
        place = {"python_full_version": f"{python}.9", "sys_platform": system}
        if requirement.marker is not None and not requirement.marker.evaluate(place):
            continue
        pins = locked[canonicalize_name(requirement.name)]
        pins = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(place)]
        versions = [spec.version for pin in pins for spec in pin.specifier]
        if len(versions) != 1 or not requirement.specifier.contains(versions[0]):
            found = " and ".join(versions) or "nothing"
            yield f"{requirement} on Python {python}, {system}: {found} is locked"


def compile_lock(*options: str | Path) -> None:
    """Resolve by metadata alone, for all systems at once; no package is installed."""
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", PYTHONS[0]]
    subprocess.run([*command, ROOT / "pyproject.toml", *options], cwd=ROOT, check=True)


def main(arguments: list[str]) -> None:
    """Renew the lock, or only resolve."""
    pyproject = (ROOT / "pyproject.toml").read_text()
    if arguments == ["--resolve"]:
        alone = [("--extra", extra) for extra in dependencies(pyproject) if extra]
        for options in ((), *alone, ("--all-extras",)):
            print("resolves:", *options, flush=True)
            compile_lock(*options, "--output-file", "/dev/null")
        return
    written = ["--all-extras", "--no-annotate", "--no-header", "--output-file", LOCK]
    compile_lock(*written, *arguments)
    LOCK.write_text(HEADER.format(digest=digest(pyproject)) + LOCK.read_text())


if __name__ == "__main__":
    main(sys.argv[1:])
