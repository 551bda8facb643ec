"""A job of the workflow that is killed in the middle, and started again by the same command."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml

STUDY = {
    "policies": ["micro-xs"],
    "prms": [],
    "methods": ["majority"],
    "problems": {"limit": 30},
    "budgets": {"pool": [128], "search": []},
    "difficulty": {"samples": 0},
}
SAMPLES = "results/generations/microcosm/micro-xs/0-128/1-of-1.parquet"
LOG = "results/logs/generate/microcosm/micro-xs/0-128/1-of-1.log"


@pytest.fixture
def command(root, tmp_path):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    configs = [root / "config.yaml", tmp_path / "study.yaml"]
    return [
        *(sys.executable, "-m", "snakemake", "--cores", "1", SAMPLES),
        *("--snakefile", root / "Snakefile", "--configfile", *configs, "--directory"),
    ]


def finished(folder):
    files = list((folder / "results/partial").glob("*.jsonl"))
    return sum(path.read_bytes().count(b"\n") for path in files)


def test_a_killed_job_goes_on_where_it_was_and_ends_with_the_same_samples(command, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    subprocess.run([*command, whole], check=True, capture_output=True)

    run = subprocess.Popen(
        [*command, killed],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while finished(killed) < 5:
        assert run.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < deadline, "nothing was kept within the time"
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    kept = finished(killed)
    assert not (killed / SAMPLES).exists()

    subprocess.run([*command, killed], check=True, capture_output=True)
    rows, expected = pd.read_parquet(killed / SAMPLES), pd.read_parquet(whole / SAMPLES)
    # Which rows share a batch changes the last digits of what a model computes, and nothing else.
    pd.testing.assert_frame_equal(rows, expected, rtol=0, atol=1e-5)
    log = (killed / LOG).read_text()
    assert f"{kept} units were finished before" in log or f"{kept - 1} units" in log
    assert finished(killed) == 0
