"""One study run on a real Slurm, in which its daemons, jobs and Snakemake are killed at random.

    python tests/drills/kill_at_random.py --folder /tmp/drill --kills 20 --seed 1 [--small]

After every kill of Snakemake the same command is given again, and nothing is cleaned up by hand;
jobs of the killed run live on. The controller saves what was submitted every few seconds: jobs that
it forgets because it was killed before are waited for in vain, and then the drill does what
docs/slurm.md says, Ctrl-C and the same command again. It also resumes the node, which
such a controller drains when it gives out a number anew. In the end the tables must equal, byte for
byte, those of a run on this machine that nobody disturbed. Needs root and Slurm's packages, see
tests/slurm/cluster.py.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests/slurm")]

from cluster import Cluster, missing, running
from studies import SMOKE, assert_same_tables, copy_checkout, outputs, snakemake
from submitting import ON_SLURM, path_without, submit

KINDS = ("controller", "job", "snakemake", "node")
MOST_STARTS = 60
HELD = "launch_failed_requeued_held"
# Less than the smoke study, on shipped models, for machines that have little time.
SMALL = {
    "results": "results-smoke",
    "policies": ["micro-xs", "micro-s"],
    "prms": ["micro-prm-weak", "micro-prm-good"],
    "methods": ["cot", "majority", "best_of_n", "dvts"],
    "budgets": {"pool": [4, 16], "search": [4, 8]},
    "problems": {"limit": 24},
    "difficulty": {"samples": 16},
    "evaluate": {"subsets": 200, "bootstrap": 200},
    "fit": {"folds": 3, "repeats": 3},
}


class Drill:
    """A run under fire."""

    def __init__(self, folder: Path, config: list[str], cluster: Cluster, seed: int, pause: float):
        self.folder, self.config, self.cluster, self.pause = folder, config, cluster, pause
        self.random = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.starts, self.interrupts, self.last = 0, 0, time.time()
        # Without a database sacct knows nothing, and the plugin would ask it during an outage.
        self.path = path_without("sacct", folder / "bin")
        self.start()

    def start(self) -> None:
        """Give the command (again)."""
        self.starts += 1
        if self.starts > MOST_STARTS:
            raise SystemExit(f"the run did not end after {MOST_STARTS} starts, see {self.folder}")
        self.log = f"run-{self.starts}.log"
        self.run = submit(self.folder, self.log, *ON_SLURM, *self.config, path=self.path)

    def kill(self) -> None:
        """Kill the next kind of thing, a random time after the run has got further."""
        while not self._got_further() and self.run.poll() != 0:
            self._sleep(1)
        self._sleep(self.random.uniform(0, 2) * self.pause)
        kind = KINDS[sum(self.kills.values()) % len(KINDS)]
        if kind == "job":
            running = [job["JobId"] for job in self.cluster.jobs() if job["JobState"] == "RUNNING"]
            pids = self.cluster.pids(self.random.choice(running)) if running else []
            if not pids:
                return
            # The youngest process is the rule's script; a killed shell would leave it behind.
            _kill(os.kill, pids[-1])
        elif kind == "snakemake":
            _kill(os.killpg, self.run.pid)
            self.run.wait()
            self.start()
        else:
            daemon = {"controller": "slurmctld", "node": "slurmd"}[kind]
            self.cluster.end(daemon, signal.SIGKILL)
            time.sleep(self.random.uniform(1, 10))
            self.cluster.start_daemon(daemon)
        self.kills[kind] += 1
        self.last = time.time()
        print(f"{sum(self.kills.values())}: killed {kind}", flush=True)

    def finish(self) -> None:
        """Attend to the run until it succeeds: a job that was killed too often fails it."""
        while self.run.poll() != 0:
            self._sleep(2)

    def _got_further(self) -> bool:
        """Whether an output was finished since the last kill, so that kills spread over the run."""
        for path in outputs(self.folder / "results-smoke"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime > self.last:
                    return True
        return False

    def _sleep(self, seconds: float) -> None:
        """Let the run go on; do what a user does for one that ended or that waits in vain."""
        time.sleep(seconds)
        self.cluster.resume_node()
        if self.run.poll() is None and self._waited_for_in_vain():
            self.interrupts += 1
            self.run.send_signal(signal.SIGINT)
            try:
                self.run.wait(120)
            except subprocess.TimeoutExpired:
                _kill(os.killpg, self.run.pid)
                self.run.wait()
        if self.run.poll() not in {None, 0}:
            self.start()

    def _waited_for_in_vain(self) -> bool:
        """Whether the run waits for a job that the controller has forgotten, or holds for ever."""
        submitted = re.findall(r"SLURM jobid (\d+)", (self.folder / self.log).read_text())
        known = {job["JobId"]: job["Reason"] for job in self.cluster.jobs()}
        held = {job for job, reason in known.items() if reason == HELD}
        return bool(known) and bool(set(submitted) - set(known) | set(submitted) & held)


def _kill(how, pid: int) -> None:
    with suppress(ProcessLookupError):
        how(pid, signal.SIGKILL)


def prepare(source: Path, folder: Path) -> None:
    """Copy a checkout, unless an earlier drill has."""
    if folder.exists():
        return
    copy_checkout(source, folder)
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
    parser.add_argument("--small", action="store_true", help="a smaller study, without training")
    parser.add_argument("--pause", type=float, default=10.0, help="mean seconds between kills")
    args = parser.parse_args()
    if reason := missing():
        raise SystemExit(reason)
    # A drill that a shell started in the background would pass on that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = args.folder.resolve()
    quiet, study = folder / "undisturbed", folder / f"seed-{args.seed}"
    prepare(ROOT, quiet)
    prepare(quiet, study)
    config = ["--configfile", "small.yaml" if args.small else SMOKE]
    expected = undisturbed(quiet, config)
    with running(folder / f"cluster-{args.seed}") as cluster:
        started = time.monotonic()
        drill = Drill(study, config, cluster, args.seed, args.pause)
        while sum(drill.kills.values()) < args.kills and drill.run.poll() != 0:
            drill.kill()
        drill.finish()
        states = Counter(job["JobState"] for job in cluster.jobs())
    assert_same_tables(expected, study / "results-smoke", in_other_batches=True)
    if sum(drill.kills.values()) < args.kills:
        raise SystemExit(f"the run ended after {sum(drill.kills.values())} kills: shorten --pause")
    print(f"killed: {dict(drill.kills)}; Snakemake started {drill.starts} times")
    print(f"of these after Ctrl-C, for jobs that the controller forgot or held: {drill.interrupts}")
    print(f"Slurm jobs: {dict(states)}; {time.monotonic() - started:.0f} s")
    print("the tables are those of the undisturbed run, byte for byte")


if __name__ == "__main__":
    main()
