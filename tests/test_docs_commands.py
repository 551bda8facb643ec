"""The commands of the documentation, run page by page in a checkout with a finished small study.

Its config has fewer problems, models and budgets than the shipped one, so that the commands run in
seconds; names, files and flags are those of the pages.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from docs_pages import PAGES, ROOT, RUN, Block, blocks, commands
from studies import copy_checkout

pytestmark = pytest.mark.study  # one of its own, and pages of commands

SMALL = {
    "policies": ["micro-xs", "micro-s"],
    "prms": ["micro-prm-good"],
    "methods": ["cot", "majority", "confidence", "best_of_n", "dvts"],
    "budgets": {"pool": [4, 16], "search": [4], "thinking": []},
    "problems": {"limit": 8},
    "evaluate": {"subsets": 50, "bootstrap": 100, "confidence": 0.95},
    "fit": {"folds": 3, "repeats": 2},
}
SECONDS = 3600  # a guard against hanging, far above what any command takes


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """The user's: programs of this Python, nothing of this test run."""
    programs = str(Path(sys.executable).parent)
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("PYTEST")}
    return kept | {"PATH": os.pathsep.join([programs, os.environ["PATH"]])}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, environment) -> Path:
    """A checkout whose study was run by the README's command; moved away after the run."""
    folder = copy_checkout(ROOT, tmp_path_factory.mktemp("docs") / "testtime")
    (folder / ".venv").symlink_to(sys.prefix)  # what the README's first command made
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["difficulty"]["samples"] = 8
    (folder / "config.yaml").write_text(yaml.safe_dump(config | SMALL))
    readme = next(block for block in blocks(ROOT / "README.md") if "snakemake" in block.text)
    command = re.search(r"snakemake --cores \d+", readme.text)[0]
    done = run(command, folder, environment)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Report: results/report.html" in done.stdout
    return folder.rename(folder.with_name("finished"))


def run(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(folder / "workflow")},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def fits(expected: str, output: str) -> bool:
    """Whether the output is as shown; a line of "..." stands for any lines, "..." within one for
    any text.
    """
    parts = re.split(r"(?m)^\.\.\.\n", expected)
    pattern = r"(?:.*\n)*?".join(re.escape(part).replace(r"\.\.\.", ".*") for part in parts)
    return re.fullmatch(pattern, output) is not None


def try_out(block: Block, folder: Path, environment: dict[str, str]) -> None:
    if block.info.startswith("console"):
        for command, expected in commands(block):
            done = run(f"{command} 2>&1", folder, environment)
            output = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
            if block.info == "console":
                assert fits(expected, output), f"{block.place}: {command}\n{output}"
            else:
                assert done.returncode == 0, f"{block.place}: {command}\n{output}"
        return
    if block.info == "python":
        (folder / "snippet.py").write_text(block.text)
        command = f"{sys.executable} snippet.py"
    elif block.info == "diff":
        (folder / "block.diff").write_text(block.text)
        command = "git apply --verbose block.diff"
    elif block.info == "bash study":
        command = f'snakemake() {{ command snakemake "$@" -n --quiet rules; }}\n{block.text}'
    else:
        command = block.text
    done = run(command, folder, environment)
    assert done.returncode == 0, f"{block.place}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.info in RUN for block in blocks(page))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_commands_of_a_page_work_in_its_order(page, finished, environment):
    # In the folder of the run: a checkout that has moved would do the analysis anew.
    folder = finished.with_name("testtime")
    shutil.copytree(finished, folder, symlinks=True)
    try:
        for block in blocks(page):
            if block.info in RUN:
                try_out(block, folder, environment)
    finally:
        shutil.rmtree(folder)
