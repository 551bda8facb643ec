import os
import subprocess
import sys

import pytest
import torch
from testtime.runtime.gpus import VISIBLE, take, visible

TAKE = """
import os, sys
from testtime.runtime.gpus import take
take(int(sys.argv[1]), sys.argv[2].split(","))
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def jobs(tmp_path):
    """Start jobs that keep what they took until their input ends."""
    started = []

    def start(n, there):
        job = subprocess.Popen(
            [sys.executable, "-c", TAKE, str(n), there],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        started.append(job)
        return job

    yield start
    for job in started:
        job.communicate()


def test_jobs_side_by_side_have_different_gpus(jobs):
    taken = [jobs(2, "0,1,2,3,4").stdout.readline().strip() for _ in range(2)]
    assert taken == ["0,1", "2,3"]


def test_a_job_waits_until_enough_gpus_are_free(jobs):
    first = jobs(2, "0,1,2")
    assert first.stdout.readline() == "0,1\n"
    second = jobs(2, "0,1,2")
    assert second.stderr.readline() == "waiting for 2 of 3 GPUs\n"
    first.communicate()
    assert second.stdout.readline() == "0,1\n"


def test_a_killed_job_frees_its_gpus(jobs):
    first = jobs(1, "0,1")
    assert first.stdout.readline() == "0\n"
    first.kill()
    first.wait()
    assert jobs(1, "0,1").stdout.readline() == "0\n"


def test_gpus_of_a_container_are_numbered_as_cuda_numbers_them(monkeypatch):
    """One that holds GPUs 4 to 7 of a machine finds them as 0 to 3."""
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert visible() == ["0", "1", "2", "3"]


def test_gpus_given_by_a_scheduler_stay_as_they_are(monkeypatch):
    monkeypatch.setenv(VISIBLE, "4,6")
    take(2)
    assert visible() == ["4", "6"]
    assert os.environ[VISIBLE] == "4,6"
