"""What a job says and leaves when its disk is full."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from studies import SMOKE, copy_checkout, snakemake
from testtime.data.store import atomic_folder, read_parquet, write_parquet
from testtime.errors import UserError

END_IN_ONE_LINE = """
import sys
from testtime.errors import UserError
from testtime.runtime.job import job
with job(sys.argv[1]):
    raise UserError("budget 3 is odd; allowed: even numbers")
"""


def run_job(log):
    command = [sys.executable, "-c", END_IN_ONE_LINE, str(log)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_users_error_is_one_line_in_the_log(tmp_path):
    done = run_job(tmp_path / "logs/job.log")
    assert done.returncode == 1
    assert done.stderr == ""
    text = (tmp_path / "logs/job.log").read_text()
    assert text == "error: budget 3 is odd; allowed: even numbers\n"


def test_a_log_on_a_full_disk_leaves_the_line_to_the_console(small_disk):
    with pytest.raises(OSError, match="No space"), open(small_disk / "rest", "wb") as rest:
        rest.write(bytes(2**20))
    done = run_job(small_disk / "job.log")
    assert done.returncode != 0
    assert "error: budget 3 is odd" in done.stderr


def test_a_table_that_does_not_fit_is_reported_and_leaves_nothing(small_disk):
    rows = pd.DataFrame({"x": np.random.default_rng(0).random(10_000)})
    with pytest.raises(UserError, match=r"a\.parquet: .*No space left on device; free some"):
        write_parquet(rows, small_disk / "a.parquet")
    assert not list(small_disk.iterdir())


def test_a_folder_that_does_not_fit_leaves_the_old_one(small_disk):
    with atomic_folder(small_disk / "model") as folder:
        (folder / "weights").write_bytes(b"old")
    with (
        pytest.raises(UserError, match="No space left on device"),
        atomic_folder(small_disk / "model") as folder,
    ):
        (folder / "weights").write_bytes(bytes(2**20))
    assert (small_disk / "model/weights").read_bytes() == b"old"
    assert [path.name for path in small_disk.iterdir()] == ["model"]


def test_a_study_on_a_full_disk_says_so(root, tmp_path, small_disk):
    folder = copy_checkout(root, tmp_path / "study")
    (small_disk / "rest").write_bytes(bytes(8192))
    results = small_disk / "results"
    changed = ("--config", f"results={results}", "--", f"{results}/problems/microcosm.parquet")
    done = snakemake(folder, "--configfile", SMOKE, *changed)
    assert done.returncode != 0
    assert "No space left on device" in done.stdout + done.stderr
    # A file of the job that fitted stays and is whole; of the other one there is nothing.
    assert all(len(read_parquet(path)) == 24 for path in results.glob("*/*.parquet"))
    assert not (results / "answers/microcosm.parquet").exists()
    assert not list(results.rglob(".*.parquet"))
