"""Studies submitted to the test cluster as a user submits them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# What differs from a real cluster: few jobs at once, and their ends are asked for often.
ON_SLURM = ("--profile", "slurm", "--jobs", "8", "--slurm-init-seconds-before-status-checks", "5")


def submit(folder: Path, log: str, *arguments: str, path: str = "") -> subprocess.Popen:
    """Start Snakemake in a process group of its own, its output in a file of the folder."""
    with (folder / log).open("w") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=folder,
            env={**os.environ, "PATH": path or os.environ["PATH"]},
            start_new_session=True,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def path_without(command: str, folder: Path) -> str:
    """A PATH on which every command is found but one; `folder` stands for the one that has it."""
    found = shutil.which(command)
    if found is None:
        return os.environ["PATH"]
    has_it = Path(found).resolve().parent
    folder.mkdir()
    for entry in has_it.iterdir():
        if entry.name != command:
            (folder / entry.name).symlink_to(entry)
    parts = [Path(part) for part in os.environ["PATH"].split(os.pathsep)]
    return os.pathsep.join(str(folder if p.resolve() == has_it else p) for p in parts)
