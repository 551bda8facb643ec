import os
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from fake_slurm import install
from studies import copy_checkout, snakemake
from testtime.data.store import atomic_folder, write_parquet
from testtime.errors import UserError
from testtime.runtime.lock import LOCK, RUN, RunOverError, check_run, hold

HOLDER = """
import sys
import time

from testtime.runtime.lock import hold

hold(sys.argv[1])
print(1, flush=True)
"""

WRITER = """
import sys
import pandas as pd
from testtime.runtime.job import job
from testtime.data.store import write_parquet
with job(f"{sys.argv[1]}/log"):
    write_parquet(pd.DataFrame({"score": [0.1]}), f"{sys.argv[1]}/scores.parquet")
"""


@pytest.fixture(autouse=True)
def no_run(monkeypatch):
    """Undo what `hold` leaves in the environment of the jobs that it starts."""
    for name in (RUN, LOCK):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_a_second_run_on_the_same_results_is_refused_while_the_first_lives(tmp_path):
    command = [sys.executable, "-c", HOLDER + "time.sleep(60)", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        first.stdout.readline()
        with pytest.raises(UserError, match="another run is writing"):
            hold(tmp_path)
        first.kill()
    hold(tmp_path)


def test_a_job_of_this_run_may_start_and_one_of_an_earlier_run_may_not(tmp_path, monkeypatch):
    check_run()
    hold(tmp_path)
    check_run()
    monkeypatch.setenv(RUN, "of a run that was killed")
    with pytest.raises(RunOverError, match="another one is writing"):
        check_run()


def test_a_job_on_a_machine_without_the_lock_belongs_to_no_run_there(tmp_path, monkeypatch):
    hold(tmp_path)
    monkeypatch.setenv(RUN, "of a run that was killed")
    with pytest.raises(RunOverError):  # the lock is here, and of another run
        check_run(elsewhere=True)
    monkeypatch.setenv(LOCK, str(tmp_path / "not here"))
    with pytest.raises(RunOverError):
        check_run()
    check_run(elsewhere=True)
    check_run()  # as of what such a job starts


def test_a_job_of_an_earlier_run_replaces_nothing_and_does_not_count_as_failed(
    tmp_path, monkeypatch
):
    file, folder = tmp_path / "scores.parquet", tmp_path / "model"
    hold(tmp_path)
    write_parquet(pd.DataFrame({"score": [0.5]}), file)
    with atomic_folder(folder) as new:
        (new / "weights").write_text("of this run")
    before = file.read_bytes()
    monkeypatch.setenv(RUN, "of a run that was killed")
    ended = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=False)
    assert ended.returncode == 0
    assert "this job's run has ended" in (tmp_path / "log").read_text()
    with pytest.raises(RunOverError), atomic_folder(folder) as new:
        (new / "weights").write_text("of an earlier run")
    assert file.read_bytes() == before
    assert (folder / "weights").read_text() == "of this run"
    assert {path.name for path in tmp_path.iterdir()} == {".lock", file.name, "model", "log"}


def test_what_a_failed_job_was_to_replace_is_not_taken_for_its_output(root, tmp_path):
    folder = copy_checkout(root, tmp_path / "study")
    target = "results/generations/microcosm/micro-xs/cot/1-of-1.parquet"
    small = {"problems": {"limit": 8}}
    hotter = small | {"catalog": {"policies": {"micro-xs": {"max_tokens": 40}}}}
    for name, config in (("small", small), ("changed", hotter)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    made = snakemake(folder, target, "--configfile", "small.yaml")
    assert made.returncode == 0, made.stdout + made.stderr
    path = f"{install(folder / 'bin')}:{os.environ['PATH']}"
    failed = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--profile", "slurm", "--retries", "0"),
            *("--slurm-init-seconds-before-status-checks", "1"),
            *("--configfile", "changed.yaml", "--", target),
        ],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        check=False,
    )
    assert failed.returncode != 0
    planned = snakemake(folder, target, "-n", "--quiet", "rules", "--configfile", "changed.yaml")
    assert "sample_pool" in planned.stdout + planned.stderr


def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(UserError, match=r"cannot take .*results/\.lock"):
        hold(tmp_path / "results")


def test_a_dry_run_may_look_on_while_a_run_writes(root, tmp_path):
    folder = copy_checkout(root, tmp_path / "study")
    hold(folder / "results")
    planned = snakemake(folder, "-n", "--quiet", "rules")
    assert planned.returncode == 0, planned.stderr
    second = snakemake(folder, "results/problems/microcosm.parquet")
    assert second.returncode != 0
    assert "another run is writing to results" in second.stderr
    assert not (folder / "results/problems").exists()
