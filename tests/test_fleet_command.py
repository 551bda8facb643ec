"""`testtime fleet`: Snakemake's own jobs and their order, cut and replayed for a fleet."""

import json
from collections import Counter
from math import sqrt

import pytest
import yaml
from testtime.cli import app
from testtime.cli.dag import study_jobs
from testtime.cli.forecast import forecast
from testtime.study.config import read, validate
from testtime.study.study import Study
from typer.testing import CliRunner

PAPER = "workflow/studies/paper.yaml"
SMALL = {
    "datasets": ["math500"],
    "policies": ["qwen2.5-0.5b-instruct", "qwen2.5-72b-instruct"],
    "prms": ["skywork-prm-7b"],
}


@pytest.fixture(autouse=True)
def _in_checkout(root, monkeypatch):
    monkeypatch.chdir(root)


def study(**jobs):
    config = read(PAPER) | SMALL
    config["jobs"] = config["jobs"] | jobs
    return Study(config, validate(config))


@pytest.fixture(scope="module")
def jobs(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return study_jobs(study())


def command(tmp_path, *options, **changes):
    overlay = tmp_path / "study.yaml"
    overlay.write_text(yaml.safe_dump(SMALL | changes))
    return CliRunner().invoke(app, ["fleet", PAPER, str(overlay), *options])


def test_jobs_wait_for_those_whose_files_they_read(jobs):
    def waits(job):
        return {jobs[needed].rule for needed in job.waits_for}

    rules = {job.rule: waits(job) for job in jobs}
    assert rules["make_problems"] == set()
    assert rules["sample_pool"] == rules["search_trees"] == {"make_problems"}
    assert rules["score_pool"] == {"make_problems", "sample_pool"}
    assert rules["grade_samples"] == {"make_problems", "sample_pool", "search_trees"}
    assert "score_pool" in rules["evaluate_policy"]
    for job in jobs:
        if job.rule == "score_pool":
            samples = [jobs[n] for n in job.waits_for if jobs[n].rule == "sample_pool"]
            assert {n.wildcards["policy"] for n in samples} == {job.wildcards["policy"]}


def test_only_small_jobs_stay_where_snakemake_runs(jobs):
    here = {job.rule for job in jobs if job.local}
    assert here >= {"make_problems", "draw_figure", "write_report"}
    assert not here & {"sample_pool", "score_pool", "search_trees", "grade_samples"}


def test_without_faults_gpu_hours_are_those_of_the_plan(tmp_path):
    options = ["--failures", "0", "--preemptions", "0", "--as-configured", "--json"]
    done = command(tmp_path, *options, "--gpus", "8", "--gpus", "64", "--price", "2")
    assert done.exit_code == 0, done.stderr
    planned = forecast(study())[-1]
    for facts in json.loads(done.stdout):
        assert facts["jobs"] == planned.jobs
        assert facts["gpu_hours"] == pytest.approx(planned.gpu_seconds / 3600)
        assert facts["redone_gpu_hours"] == pytest.approx(0, abs=1e-6)
        assert facts["hours"] >= facts["least_hours"]
        assert facts["cost"] == pytest.approx(2 * facts["gpus"] * facts["hours"])


def test_the_table_has_a_line_per_fleet_and_the_figure_is_drawn(tmp_path):
    done = command(tmp_path, "--gpus", "8", "--runs", "1", "--figure", str(tmp_path / "fleet.png"))
    assert done.exit_code == 0, done.stderr
    header, line, chain = done.stdout.splitlines()
    assert header.split()[:3] == ["GPUs", "jobs", "hours"]
    assert line.split()[0] == "8"
    assert chain.startswith("8 GPUs: the longest chain of jobs takes ")
    assert (tmp_path / "fleet.png").stat().st_size > 10_000


def test_a_study_without_gpus_has_no_fleet():
    done = CliRunner().invoke(app, ["fleet", "workflow/studies/smoke.yaml"])
    assert done.exit_code != 0
    assert "no job of this study needs a GPU: testtime plan" in str(done.exception)


@pytest.mark.parametrize("gpus", [8, 512])
def test_jobs_of_a_fleet_balance_starts_and_waiting(gpus):
    """As long as h, at which start·T/h + h/2 is least: tried on a grid of lengths."""
    whole, cut = study(), study(fleet=gpus)
    cell = ("math500", "qwen2.5-72b-instruct")
    every = [whole.drawing("math500", policy) for policy in SMALL["policies"]]
    pairs = [("math500", policy, prm) for policy in SMALL["policies"] for prm in SMALL["prms"]]
    every += [make(*pair) for pair in pairs for make in (whole.scoring, whole.searching)]
    share = sum(job.gpus * job.seconds for job in every) / gpus
    drawing = whole.drawing(*cell)
    grid = [60 * minutes for minutes in range(1, 1000)]
    best = min(grid, key=lambda h: drawing.start_seconds * share / h + h / 2)
    assert sqrt(2 * drawing.start_seconds * share) == pytest.approx(best, rel=0.05)
    longest = min(best, 4 * 3600)  # its `jobs: hours`
    assert len(cut.shards(*cell)) == pytest.approx(drawing.seconds / longest, abs=1)


def test_a_fleet_makes_jobs_shorter_and_never_longer():
    counts = [Counter(job.rule for job in study_jobs(study(fleet=n))) for n in (None, 64, 4096)]
    for rule in ("sample_pool", "score_pool", "search_trees"):
        assert counts[0][rule] <= counts[1][rule] <= counts[2][rule]
    assert counts[0] != counts[2]
    assert counts[0]["evaluate_policy"] == counts[2]["evaluate_policy"]
