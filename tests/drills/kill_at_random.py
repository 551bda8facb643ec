"""One study run on a real Slurm, in which the controller, jobs and Snakemake are killed at random.

    python tests/drills/kill_at_random.py --folder /tmp/drill --kills 20 --seed 1 [--small]

After every kill of Snakemake the same command is given again, and nothing is cleaned up by hand;
jobs of the killed run live on. In the end the tables must equal, byte for byte, those of a run on
this machine that nobody disturbed. Needs root and Slurm's packages, see tests/slurm/cluster.py.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests/slurm")]

from cluster import Cluster, missing, running
from studies import SMOKE, assert_same_tables, copy_checkout, snakemake
from submitting import ON_SLURM, path_without, submit

KINDS = ("controller", "job", "snakemake")
MOST_STARTS = 40
# A part of the smoke study, for machines that have little time.
SMALL = {
    "policies": ["smoke-small"],
    "prms": ["smoke-prm-tag"],
    "methods": ["cot", "majority", "best_of_n", "dvts"],
    "budgets": {"pool": [4], "search": [4]},
}


class Drill:
    """A run under fire."""

    def __init__(self, folder: Path, config: list[str], cluster: Cluster, seed: int, pause: float):
        self.folder, self.config, self.cluster, self.pause = folder, config, cluster, pause
        self.random = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.starts = 0
        # Without a database sacct knows nothing, and the plugin would ask it during an outage.
        self.path = path_without("sacct", folder / "bin")
        self.start()

    def start(self) -> None:
        """Give the command (again)."""
        self.starts += 1
        if self.starts > MOST_STARTS:
            raise SystemExit(f"the run did not end after {MOST_STARTS} starts, see {self.folder}")
        log = f"run-{self.starts}.log"
        self.run = submit(self.folder, log, *ON_SLURM, *self.config, path=self.path)

    def kill(self) -> None:
        """Kill something after a random time; go on once it could be killed."""
        self._sleep(self.random.uniform(0.2, 1.8) * self.pause)
        kind = self.random.choice(KINDS)
        if kind == "controller":
            self.cluster.end("slurmctld", signal.SIGKILL)
            self._sleep(self.random.uniform(1, 10))
            self.cluster.start_controller()
        elif kind == "job":
            running = [job for job in self.cluster.jobs() if job["JobState"] == "RUNNING"]
            if not running:
                return
            for pid in self.cluster.pids(self.random.choice(running)["JobId"]):
                _kill(os.kill, pid)
        else:
            _kill(os.killpg, self.run.pid)
            self.run.wait()
            self.start()
        self.kills[kind] += 1
        print(f"{sum(self.kills.values())}: killed {kind}", flush=True)

    def finish(self) -> None:
        """Give the command until it succeeds: a job that was killed too often fails its run."""
        while self.run.wait():
            self.start()

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)
        if self.run.poll() not in {None, 0}:
            self.start()


def _kill(how, pid: int) -> None:
    with suppress(ProcessLookupError):
        how(pid, signal.SIGKILL)


def prepare(folder: Path) -> None:
    """Copy the checkout, unless an earlier drill has."""
    if folder.exists():
        return
    copy_checkout(ROOT, folder)
    (folder / "small.yaml").write_text(json.dumps(SMALL))
    # A cluster without a database has no accounts to guess.
    profile = folder / "profiles/slurm/config.yaml"
    line = "# slurm_account: my-project"
    profile.write_text(profile.read_text().replace(line, "slurm_account: none"))


def undisturbed(folder: Path, config: list[str]) -> Path:
    """Results of a run on this machine, from an earlier drill where there are some."""
    if not (folder / "results-smoke/report.html").exists():
        started = time.monotonic()
        done = snakemake(folder, *config)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        print(f"undisturbed, on this machine: {time.monotonic() - started:.0f} s", flush=True)
    return folder / "results-smoke"


def main() -> None:
    """Run the drill and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="only a part of the smoke study")
    parser.add_argument("--pause", type=float, default=10.0, help="mean seconds between kills")
    args = parser.parse_args()
    if reason := missing():
        raise SystemExit(reason)
    folder = args.folder.resolve()
    study = folder / f"seed-{args.seed}"
    for checkout in (folder / "undisturbed", study):
        prepare(checkout)
    config = ["--configfile", SMOKE, *(["small.yaml"] if args.small else [])]
    expected = undisturbed(folder / "undisturbed", config)
    with running(folder / f"cluster-{args.seed}") as cluster:
        started = time.monotonic()
        drill = Drill(study, config, cluster, args.seed, args.pause)
        while sum(drill.kills.values()) < args.kills and drill.run.poll() != 0:
            drill.kill()
        drill.finish()
        states = Counter(job["JobState"] for job in cluster.jobs())
    assert_same_tables(expected, study / "results-smoke")
    print(f"killed: {dict(drill.kills)}; snakemake started {drill.starts} times")
    print(f"Slurm jobs: {dict(states)}; {time.monotonic() - started:.0f} s")
    print("the tables are those of the undisturbed run, byte for byte")


if __name__ == "__main__":
    main()
