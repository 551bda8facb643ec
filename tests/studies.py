"""Whole studies run in a copy of the checkout, as a user runs them."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml

SMOKE = "workflow/studies/smoke.yaml"
COPIED = ("Snakefile", "config.yaml", "workflow", "profiles", "slurm", "notebooks", "envs")
COPIED += ("pyproject.toml",)


def copy_checkout(root: Path, folder: Path) -> Path:
    """Copy what a run needs, without results."""
    folder.mkdir(parents=True)
    for name in COPIED:
        source = root / name
        if source.is_symlink():
            (folder / name).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake on this machine to its end."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_same_tables(one: Path, other: Path) -> None:
    """The tables and the lookup of two results folders are equal byte for byte."""
    names = sorted(path.relative_to(one) for path in one.glob("tables/*"))
    assert len(names) > 5
    for name in [*names, Path("lookup.json")]:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def planned(folder: Path, *overlays: dict, arguments: tuple[str, ...] = ()) -> Counter:
    """Jobs per rule that the smoke study with these changes would run."""
    files = [SMOKE]
    for number, overlay in enumerate(overlays):
        files.append(f"overlay-{number}.yaml")
        (folder / files[-1]).write_text(yaml.safe_dump(overlay))
    done = snakemake(folder, "-n", "--quiet", "reason", *arguments, "--configfile", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    return Counter({rule: int(count) for rule, count in jobs if rule not in {"total", "all"}})
