"""`testtime plan`: what a study will take, from the same estimates as the jobs' run times."""

import pandas as pd
import pytest
import yaml
from testtime.cli import app
from testtime.cli.forecast import forecast
from testtime.data.store import write_csv
from testtime.study.config import read, validate
from testtime.study.study import Study
from typer.testing import CliRunner

# Seconds of all jobs of a stage in the default study, by its benchmark files: one thread per job,
# two at once on a virtual machine of two cores.
MEASURED = {"generate": 258, "score": 157, "search": 363, "fit": 26}
ALL_MEASURED, WALL_MEASURED = 892, 446  # both cores from start to end
# Tokens that the policies generated and the PRMs read, and bytes of results and store, in that run.
POLICY_TOKENS = {"generate": 13.14e6, "search": 12.06e6}
PRM_TOKENS = {"score": 30.77e6}
SIZES = {"generate": 34.3e6, "score": 19.3e6, "search": 19.2e6}


def stages(*files, **changes):
    config = read(*files) | changes
    return {stage.name: stage for stage in forecast(Study(config, validate(config)))}


@pytest.fixture(autouse=True)
def _in_checkout(root, monkeypatch):
    monkeypatch.chdir(root)


def test_the_default_study_took_what_is_forecast_within_a_factor_of_two():
    found = stages()
    for stage, seconds in MEASURED.items():
        assert seconds / 2 <= found[stage].seconds <= 2 * seconds, stage
    assert ALL_MEASURED / 2 <= found["all"].seconds <= 2 * ALL_MEASURED
    for stage, tokens in POLICY_TOKENS.items():
        assert found[stage].policy_tokens == pytest.approx(tokens, rel=0.1), stage
    for stage, tokens in PRM_TOKENS.items():
        assert found[stage].prm_tokens == pytest.approx(tokens, rel=0.1), stage
    for stage, size in SIZES.items():
        assert size / 2 <= found[stage].size <= 2 * size, stage


def test_the_table_ends_with_the_whole_study_and_its_wall_time():
    done = CliRunner().invoke(app, ["plan", "--jobs", "2"])
    assert done.exit_code == 0, done.stderr
    *_, last = done.stdout.splitlines()
    assert ["all", "67"] in [line.split()[:2] for line in done.stdout.splitlines()]
    hours = float(last.split()[1])
    assert WALL_MEASURED / 2 <= 3600 * hours <= 2 * WALL_MEASURED


def test_gpu_hours_count_every_gpu_of_a_job():
    found = stages("workflow/studies/paper.yaml", policies=["qwen2.5-72b-instruct"])
    assert found["generate"].gpu_seconds == 4 * found["generate"].seconds
    prms = ["qwen2.5-math-prm-72b"]
    changes = {"policies": ["qwen2.5-72b-instruct"], "prms": prms}
    found = stages("workflow/studies/paper.yaml", **changes)
    assert found["search"].gpu_seconds == 8 * found["search"].seconds
    assert found["search"].longest_s == pytest.approx(4 * 3600, rel=0.25)  # its `jobs: hours`


def test_a_stage_without_jobs_is_left_out():
    found = stages(prms=[], methods=["cot", "majority"])
    assert "score" not in found
    assert "search" not in found
    assert "train" not in found
    assert "train" in stages("workflow/studies/from-scratch.yaml")


def test_the_table_of_a_study_file(tmp_path):
    overlay = tmp_path / "study.yaml"
    overlay.write_text(yaml.safe_dump({"policies": ["micro-xs"], "budgets": {"pool": [4]}}))
    done = CliRunner().invoke(app, ["plan", str(overlay)])
    assert ["generate", "1"] in [line.split()[:2] for line in done.stdout.splitlines()]


def test_results_with_forecasts_say_whether_more_samples_pay(tmp_path):
    rows = [
        {"dataset": "microcosm", "policy": policy, "method": "pass", "k": k, "gain": gain}
        | {"gain_low": gain - 0.01, "gain_high": gain + 0.01}
        for policy, gain in (("micro-xs", 0.05), ("micro-s", 0.005), ("micro-m", 0.02))
        for k in (256, 1024)
    ]
    write_csv(pd.DataFrame(rows), tmp_path / "tables/forecast.csv")
    overlay = tmp_path / "study.yaml"
    overlay.write_text(yaml.safe_dump({"results": str(tmp_path)}))
    done = CliRunner().invoke(app, ["plan", str(overlay)])
    found = [line.split(maxsplit=4) for line in done.stdout.splitlines() if " pass " in line]
    assert [(row[1], row[3], row[4].rsplit(")", 1)[1].strip()) for row in found] == [
        ("micro-xs", "1024", "yes"),
        ("micro-s", "1024", "no"),
        ("micro-m", "1024", "cannot be told"),
    ]
    assert "+5.0 (+4.0 to +6.0)" in done.stdout
