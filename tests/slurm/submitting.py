"""Studies submitted to the test cluster as a user submits them."""

import subprocess
import sys
from pathlib import Path

# What differs from a real cluster: few jobs at once, and their ends are asked for often.
ON_SLURM = ("--profile", "slurm", "--jobs", "8", "--slurm-init-seconds-before-status-checks", "5")


def submit(folder: Path, log: str, *arguments: str) -> subprocess.Popen:
    """Start Snakemake in a process group of its own, its output in a file of the folder."""
    with (folder / log).open("w") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=folder,
            start_new_session=True,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
