"""Stand-ins of Slurm's commands: every job is taken, written down and said to have failed."""

import json
import sys
from pathlib import Path

COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "sinfo")


def install(folder: Path) -> Path:
    """Put the commands into a folder for PATH; what is submitted goes to its jobs.jsonl."""
    folder.mkdir()
    for command in COMMANDS:
        path = folder / command
        path.write_text(f"#!{sys.executable}\n{Path(__file__).read_text()}")
        path.chmod(0o755)
    return folder


def submitted(folder: Path) -> list[list[str]]:
    """The arguments of every sbatch, without the program to run."""
    lines = (folder / "jobs.jsonl").read_text().splitlines()
    return [[word for word in json.loads(line) if not word.startswith("--wrap")] for line in lines]


def main(command: str, arguments: list[str], jobs: Path) -> None:
    """Answer as the named command does."""
    known = jobs.read_text().splitlines() if jobs.exists() else []
    if command == "sbatch":
        with jobs.open("a") as out:
            out.write(json.dumps(arguments) + "\n")
        print(len(known) + 1)
    elif command == "squeue":
        for number in range(1, len(known) + 1):
            print(f"{number}|FAILED")
    elif command == "scontrol":
        print("MinJobAge = 300 sec\nMaxArraySize = 1001")


if __name__ == "__main__":
    name = Path(sys.argv[0])
    main(name.name, sys.argv[1:], name.parent / "jobs.jsonl")
