"""The smoke study with `engine: vllm`: every stage, from training to the report."""

import json

import pandas as pd
import pytest
import vllm_engines
import yaml
from studies import SMOKE, copy_checkout, snakemake

pytestmark = pytest.mark.vllm
assert vllm_engines  # skips this module where vllm is not installed


@pytest.fixture(scope="module")
def results(root, tmp_path_factory):
    folder = copy_checkout(root, tmp_path_factory.mktemp("vllm") / "study")
    done = snakemake(folder, "--configfile", SMOKE, "--config", "engine=vllm")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return folder / "results-smoke"


def test_every_model_job_ran_on_vllm(results):
    logs = [path for stage in ("generate", "score", "search") for path in _logs(results, stage)]
    assert logs
    for path in logs:
        started = path.read_text().count("Loading safetensors checkpoint shards: 100%")
        assert started >= (2 if "search" in path.parts else 1), path


def _logs(results, stage):
    return sorted((results / "logs" / stage).rglob("*.log"))


def test_every_method_has_outcomes_and_the_report_is_there(root, results):
    outcomes = pd.read_parquet(results / "tables/outcomes.parquet")
    assert set(outcomes["method"]) == set(
        yaml.safe_load((root / "config.yaml").read_text())["methods"]
    )
    assert outcomes["correct"].between(0, 1).all()
    assert (outcomes["policy_tokens"] > 0).all()
    assert (outcomes.loc[outcomes["prm"] != "none", "prm_tokens"] > 0).all()
    assert json.loads((results / "lookup.json").read_text())["contexts"]
    assert (results / "report.html").stat().st_size > 10_000
