import subprocess
import sys

import pytest
from studies import copy_checkout, snakemake
from testtime.errors import UserError
from testtime.lock import RUN, check_run, hold

HOLDER = "import sys, time; from testtime.lock import hold; hold(sys.argv[1]); print(1, flush=True)"


def test_a_second_run_on_the_same_results_is_refused_while_the_first_lives(tmp_path):
    command = [sys.executable, "-c", HOLDER + "; time.sleep(60)", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        first.stdout.readline()
        with pytest.raises(UserError, match="another run is writing"):
            hold(tmp_path)
        first.kill()
    hold(tmp_path)


def test_a_job_of_this_run_may_start_and_one_of_an_earlier_run_may_not(tmp_path, monkeypatch):
    monkeypatch.setenv(RUN, "")
    hold(tmp_path)
    check_run(tmp_path)
    monkeypatch.setenv(RUN, "of a run that was killed")
    with pytest.raises(UserError, match="another one is writing"):
        check_run(tmp_path)


def test_a_dry_run_may_look_on_while_a_run_writes(root, tmp_path):
    folder = copy_checkout(root, tmp_path / "study")
    hold(folder / "results")
    planned = snakemake(folder, "-n", "--quiet", "rules")
    assert planned.returncode == 0, planned.stderr
    second = snakemake(folder, "results/problems/microcosm.parquet")
    assert second.returncode != 0
    assert "another run is writing to results" in second.stderr
    assert not (folder / "results/problems").exists()
