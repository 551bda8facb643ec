"""One study run on a real Slurm that is disturbed again and again, by all that happens on clusters.

    python tests/drills/faults_at_random.py --folder /tmp/drill --faults 30 --seed 1 [--small]

What may happen is listed in faults.py. After it the same command is given again where Snakemake
has ended, and nothing is cleaned up by hand; jobs of an ended run live on. The controller saves
what was submitted every few seconds: jobs that it forgets because it was killed before are waited
for in vain, and then the drill does what docs/slurm.md says, Ctrl-C and the same command again. It
also resumes the node, which such a controller drains when it gives out a number anew, and lets the
node tell of jobs that ended unsaved, which it takes for running; it says so.

In the end the tables must equal, byte for byte, those of a run on this machine that nobody
disturbed, and no process of the run may be left. What was made or computed twice is printed. Needs
root and Slurm's packages, see tests/slurm/cluster.py.
"""

import argparse
import itertools
import json
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
sys.path += [str(ROOT / "tests"), str(ROOT / "tests/slurm"), str(ROOT / "workflow")]

from cluster import Cluster, missing, running
from faults import FAULTS, kill
from studies import SMOKE, assert_same_tables, copy_checkout, snakemake
from submitting import ON_SLURM, path_without, submit
from witness import Witness, computed, wait_until_gone

RESULTS = "results-smoke"
MOST_STARTS = 60
HELD = "launch_failed_requeued_held"
# Other cells than the smoke study, of shipped models: no training, more jobs.
SMALL = {
    "results": RESULTS,
    "policies": ["micro-xs", "micro-s", "micro-m", "micro-l"],
    "prms": ["micro-prm-weak", "micro-prm-good"],
    "methods": ["cot", "majority", "best_of_n", "dvts"],
    "budgets": {"pool": [4, 16], "search": [4, 8]},
    "problems": {"limit": 24},
    "difficulty": {"samples": 16},
    "evaluate": {"subsets": 200, "bootstrap": 200},
    "fit": {"folds": 3, "repeats": 3},
}


class Drill:
    """A run under fire.

    Attributes:
        results: of the run, which two checkouts share.
        run: Snakemake's process.
        happened: how often each fault did.
    """

    def __init__(self, folder: Path, config: list[str], cluster: Cluster, seed: int, pause: float):
        self.checkouts = [folder / "one", folder / "other"]
        self.results = folder / "one" / RESULTS
        self.config, self.cluster, self.pause = config, cluster, pause
        self.random = random.Random(seed)
        self.happened: Counter[str] = Counter()
        self.starts, self.interrupts, self.resumed, self.last = 0, 0, 0, time.time()
        # Without a database sacct knows nothing, and the plugin would ask it during an outage.
        self.path = path_without("sacct", folder / "bin")
        self.start()

    def start(self) -> None:
        """Give the command (again)."""
        self.starts += 1
        if self.starts > MOST_STARTS:
            raise SystemExit(f"the run did not end after {MOST_STARTS} starts: {self.checkouts[0]}")
        self.run = self._submit(f"run-{self.starts}.log")
        self.log = self.checkouts[0] / f"run-{self.starts}.log"

    def move(self) -> None:
        """Go on in the other checkout."""
        self.checkouts.reverse()

    def try_beside(self) -> str:
        """What a second run says, started in the other checkout."""
        self.checkouts.reverse()
        run = self._submit("beside.log")
        self.checkouts.reverse()
        try:
            run.wait(60)
        except subprocess.TimeoutExpired:
            kill(run.pid, whole_group=True)
            run.wait()
        return (self.checkouts[1] / "beside.log").read_text()

    def disturb(self, name: str) -> None:
        """Let something happen, a random time after the run has got further."""
        while not self._got_further() and self.run.poll() != 0:
            self._attend(1)
        self._attend(self.random.uniform(0, 2) * self.pause)
        started = time.monotonic()
        if self.run.poll() != 0 and FAULTS[name](self):
            self.happened[name] += 1
            self.last = time.time()
            took = f"{time.monotonic() - started:.0f} s"
            print(f"{self.happened.total()}: {name} ({took})", flush=True)

    def finish(self) -> None:
        """Attend to the run until it succeeds: a job that was disturbed too often fails it."""
        while self.run.poll() != 0:
            self._attend(2)

    def running_jobs(self) -> list[str]:
        """Numbers of the jobs that run just now."""
        return [job["JobId"] for job in self.cluster.jobs() if job["JobState"] == "RUNNING"]

    def random_job(self) -> str:
        """One of them."""
        return self.random.choice(self.running_jobs() or [""])

    def _submit(self, log: str) -> subprocess.Popen:
        arguments = [*ON_SLURM, *self.config]
        return submit(self.checkouts[0], log, *arguments, path=self.path)

    def _got_further(self) -> bool:
        """Whether anything was computed since the last fault, so that they spread over the run."""
        for pattern in ("store/**/*.gz", "*/**/*.parquet", "models/**/*.safetensors", "tables/*"):
            for path in self.results.glob(pattern):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime > self.last:
                        return True
        return False

    def _attend(self, seconds: float) -> None:
        """Let the run go on; do what a user does for one that ended or that waits in vain."""
        time.sleep(seconds)
        self.cluster.start_requeued()
        if lost := self.cluster.start_lost_jobs():
            print(f"  had the node tell that it lost {len(lost)} jobs", flush=True)
        if self.cluster.resume_node():
            self.resumed += 1
            print("  resumed the node, which the controller had drained", flush=True)
        if self.run.poll() is None and self._waited_for_in_vain():
            self.interrupts += 1
            print("  Ctrl-C, as Snakemake waits for a job that Slurm forgot or holds", flush=True)
            self.run.send_signal(signal.SIGINT)
            try:
                self.run.wait(120)
            except subprocess.TimeoutExpired:
                kill(self.run.pid, whole_group=True)
                self.run.wait()
        if self.run.poll() not in {None, 0}:
            self.start()

    def _waited_for_in_vain(self) -> bool:
        """Whether the run waits for a job that the controller has forgotten, or holds for ever."""
        submitted = re.findall(r"SLURM jobid (\d+)", self.log.read_text())
        known = {job["JobId"]: job["Reason"] for job in self.cluster.jobs()}
        held = {job for job, reason in known.items() if reason == HELD}
        return bool(known) and bool(set(submitted) - set(known) | set(submitted) & held)


def prepare(folder: Path) -> None:
    """Copy this checkout."""
    copy_checkout(ROOT, folder)
    (folder / "small.yaml").write_text(json.dumps(SMALL))
    # A cluster without a database has no accounts to guess.
    profile = folder / "profiles/slurm/config.yaml"
    line = "# slurm_account: my-project"
    profile.write_text(profile.read_text().replace(line, "slurm_account: none"))


def prepare_two(folder: Path) -> None:
    """Two copies of this checkout that share their results."""
    for name in ("one", "other"):
        prepare(folder / name)
    (folder / "one" / RESULTS).mkdir()
    (folder / "other" / RESULTS).symlink_to(folder / "one" / RESULTS)


def undisturbed(folder: Path, config: list[str]) -> Path:
    """Results of a run on this machine, from an earlier drill where there are some."""
    if not folder.exists():
        prepare(folder)
    if not (folder / RESULTS / "report.html").exists():
        started = time.monotonic()
        done = snakemake(folder, *config)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        print(f"undisturbed, on this machine: {time.monotonic() - started:.0f} s", flush=True)
    return folder / RESULTS


def unused(folder: Path, seed: int) -> Path:
    """A folder for this drill; those of earlier ones stay."""
    names = (folder / f"seed-{seed}-run-{n}" for n in itertools.count(1))
    return next(name for name in names if not name.exists())


def rounds(names: list[str], chance: random.Random):
    """Every fault once in random order, again and again."""
    while True:
        yield from chance.sample(names, len(names))


def tell(drill: Drill, witness: Witness, expected: Path) -> None:
    """Print what was made and computed twice."""
    print(f"happened: {dict(drill.happened)}; Snakemake started {drill.starts} times")
    print(f"of these after Ctrl-C, for jobs that Slurm forgot or held: {drill.interrupts}")
    print(f"drained nodes resumed: {drill.resumed}")
    states = Counter(job["JobState"] for job in drill.cluster.jobs())
    print(f"Slurm's jobs: {dict(states)}")
    for what, paths in {"vanished": witness.lost, "made again": witness.remade}.items():
        kinds = Counter(path.relative_to(drill.results).parts[0] for path in paths.elements())
        print(f"outputs that were {what}: {dict(kinds)}")
    once = computed(expected)
    for stage, (rows, again, tokens, tokens_again) in computed(drill.results).items():
        print(
            f"{stage}: {rows:,} rows kept ({once[stage][0]:,} undisturbed), {again:,} of them "
            f"computed before; {tokens:,} tokens, {tokens_again:,} of them before"
        )


def main() -> None:
    """Run the drill and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--faults", type=int, default=30, help="how many")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="shipped models, without training")
    parser.add_argument("--pause", type=float, default=10.0, help="mean seconds between faults")
    args = parser.parse_args()
    if reason := missing():
        raise SystemExit(reason)
    # A drill that a shell started in the background would pass on that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = args.folder.resolve()
    study = unused(folder, args.seed)
    prepare_two(study)
    config = ["--configfile", "small.yaml" if args.small else SMOKE]
    expected = undisturbed(folder / "undisturbed", config)
    started = time.monotonic()
    with running(study / "cluster") as cluster:
        drill = Drill(study, config, cluster, args.seed, args.pause)
        witness = Witness(drill.results)
        try:
            for name in rounds(args.only, drill.random):
                if drill.happened.total() >= args.faults or drill.run.poll() == 0:
                    break
                drill.disturb(name)
            drill.finish()
        finally:
            kill(drill.run.pid, whole_group=True)
        print(f"the run has ended after {time.monotonic() - started:.0f} s", flush=True)
        left = wait_until_gone(study / "one", study / "other", seconds=180)
        witness.end()
        tell(drill, witness, expected)
    assert_same_tables(expected, drill.results, in_other_batches=True)
    print("the tables are those of the undisturbed run, byte for byte")
    if left:
        raise SystemExit("processes are left:\n" + "\n".join(map(str, left.items())))
    print("no process is left")
    if drill.happened.total() < args.faults:
        raise SystemExit(f"the run ended after {drill.happened.total()} faults, no more found room")


if __name__ == "__main__":
    main()
