"""The smoke study on a real Slurm; on the way jobs are cancelled, run out of time and of memory."""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
import yaml
from cluster import Cluster, missing, running
from needs import require
from studies import SMOKE, assert_same_tables, copy_checkout, outputs, snakemake
from submitting import ON_SLURM, submit

pytestmark = pytest.mark.slurm

# A PRM said to need less memory than a job of it takes: its scoring is killed once, then fits.
LITTLE = "smoke-prm-tag"
OVERLAY = {"catalog": {"prms": {LITTLE: {"memory_gb": 0.4}}}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    require("slurm", missing())
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@dataclass
class Disturbed:
    """What was seen of a run."""

    folder: Path
    returncode: int
    jobs: list[dict[str, str]]
    cancelled: str = ""
    out_of_time: str = ""
    second_run: str = ""
    # Outputs as they were first seen, held open so that no other file can get their inode.
    first: dict[Path, IO[bytes]] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return (self.folder / "run.log").read_text()

    def attempts(self, job_id: str) -> list[dict[str, str]]:
        """Slurm's jobs for the same work as this one, in the order of submission."""
        work = next(job["Comment"] for job in self.jobs if job["JobId"] == job_id)
        same = [job for job in self.jobs if job["Comment"] == work]
        return sorted(same, key=lambda job: int(job["JobId"]))


@pytest.fixture(scope="module")
def disturbed(cluster, root, tmp_path_factory):
    folder = copy_checkout(root, tmp_path_factory.mktemp("slurm") / "study")
    (folder / "overlay.yaml").write_text(yaml.safe_dump(OVERLAY))
    run = submit(folder, "run.log", *ON_SLURM, "--configfile", SMOKE, "overlay.yaml")
    result = Disturbed(folder, -1, [])
    try:
        while run.poll() is None:
            disturb(cluster, result)
            for path in outputs(folder / "results-smoke"):
                if path not in result.first:
                    result.first[path] = path.open("rb")
            time.sleep(0.3)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    result.returncode, result.jobs = run.wait(), cluster.jobs()
    assert result.returncode == 0, result.log[-8000:]
    return result


def disturb(cluster: Cluster, result: Disturbed) -> None:
    """Do to running jobs, once each, what happens on clusters."""
    jobs = [job for job in cluster.jobs() if job["JobState"] == "RUNNING"]
    for job in jobs:
        if not result.out_of_time and "sample_pool" in job["Comment"]:
            result.out_of_time = job["JobId"]
            exceed_time(cluster, job["JobId"])
            result.second_run = snakemake(result.folder, "--configfile", SMOKE).stderr
        elif not result.cancelled and "search_trees" in job["Comment"]:
            result.cancelled = job["JobId"]
            subprocess.run(["scancel", job["JobId"]], check=True)


def exceed_time(cluster: Cluster, job_id: str) -> None:
    """Give a job the least time there is, and stop its work, so that the time is too short."""
    command = ["scontrol", "update", f"JobId={job_id}", "TimeLimit=1"]
    subprocess.run(command, check=True)
    for pid in cluster.pids(job_id):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)


def minutes(limit: str) -> int:
    """Slurm's [DAYS-]HOURS:MINUTES:SECONDS."""
    days, _, clock = limit.rpartition("-")
    hours, mins, _ = map(int, clock.split(":"))
    return 24 * 60 * int(days or 0) + 60 * hours + mins


def megabytes(job: dict[str, str]) -> float:
    """The memory that a job was given; Slurm writes 1.50G as well as 1300M."""
    amount = re.search(r"mem=([\d.]+)([MG])", job["TRES"])
    return float(amount[1]) * {"M": 1, "G": 1024}[amount[2]]


def test_the_study_ends_with_the_tables_of_a_local_run(disturbed, study):
    assert_same_tables(
        study / "results-smoke", disturbed.folder / "results-smoke", in_other_batches=True
    )
    assert (disturbed.folder / "results-smoke/report.html").exists()


def test_a_cancelled_job_is_run_again(disturbed):
    states = [job["JobState"] for job in disturbed.attempts(disturbed.cancelled)]
    assert states == ["CANCELLED", "COMPLETED"]


def test_a_job_out_of_time_is_run_again_with_more(disturbed):
    first, second = disturbed.attempts(disturbed.out_of_time)
    assert (first["JobState"], second["JobState"]) == ("TIMEOUT", "COMPLETED")
    others = [job for job in disturbed.jobs if "sample_pool" in job["Comment"]]
    usual = min(minutes(job["TimeLimit"]) for job in others if job is not first)
    assert minutes(second["TimeLimit"]) == 2 * usual


def test_a_job_out_of_memory_is_run_again_with_more(disturbed):
    killed = [job for job in disturbed.jobs if job["JobState"] in {"FAILED", "OUT_OF_MEMORY"}]
    assert killed
    for job in killed:
        assert f"_{LITTLE}_" in job["Comment"]
        *failed, last = disturbed.attempts(job["JobId"])
        assert last["JobState"] == "COMPLETED"
        asked = [megabytes(attempt) for attempt in [*failed, last]]
        expected = [n * asked[0] for n in range(1, len(asked) + 1)]
        assert asked == pytest.approx(expected, rel=0.01)


def test_nothing_that_had_finished_is_done_again(disturbed):
    assert len(disturbed.first) > 60
    for path, file in disturbed.first.items():
        assert os.path.samestat(os.fstat(file.fileno()), path.stat()), path
    completed = Counter(j["Comment"] for j in disturbed.jobs if j["JobState"] == "COMPLETED")
    assert set(completed.values()) == {1}


def test_every_other_job_is_submitted_once(disturbed):
    disturbed_ones = {disturbed.cancelled, disturbed.out_of_time}
    for job in disturbed.jobs:
        if job["JobState"] != "COMPLETED":
            assert job["JobId"] in disturbed_ones or f"_{LITTLE}_" in job["Comment"]


def test_a_second_run_beside_it_is_refused(disturbed):
    assert "another run is writing to results-smoke" in disturbed.second_run


def test_small_jobs_stay_off_the_cluster(disturbed):
    rules = {job["Comment"].split("_wildcards_")[0].removeprefix("rule_") for job in disturbed.jobs}
    assert {"sample_pool", "score_pool", "search_trees", "grade_samples"} <= rules
    small = {"tabulate_accuracy", "tabulate_outcomes", "draw_figure", "write_report"}
    assert not small & rules
