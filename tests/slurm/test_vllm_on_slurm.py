"""A study with `engine: vllm` on Slurm: Snakemake, its plugin and vLLM in one environment."""

import json

import pandas as pd
import pytest
import vllm_engines
import yaml
from cluster import missing, running
from needs import require
from studies import copy_checkout
from submitting import ON_SLURM, submit

pytestmark = pytest.mark.vllm
assert vllm_engines  # skips this module where vllm is not installed

STUDY = {
    "engine": "vllm",
    "policies": ["micro-xs"],
    "prms": ["micro-prm-weak", "micro-prm-good"],  # a language model and one with two classes
    "methods": ["cot", "majority", "best_of_n", "beam_search"],
    "problems": {"limit": 8},
    "budgets": {"pool": [4], "search": [4]},
    "difficulty": {"samples": 4},
    "evaluate": {"subsets": 100, "bootstrap": 100},
    "fit": {"folds": 3, "repeats": 2},
}
MODEL_JOBS = {"sample_pool": 1, "score_pool": 2, "search_trees": 2}


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory):
    """The results and Slurm's jobs."""
    require("slurm", missing())
    folder = copy_checkout(root, tmp_path_factory.mktemp("vllm") / "study")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        run = submit(folder, "run.log", *ON_SLURM, "--configfile", "config.yaml", "study.yaml")
        assert run.wait() == 0, (folder / "run.log").read_text()[-8000:]
        return folder / "results", cluster.jobs()


def test_every_model_job_ran_on_a_node_and_on_vllm(finished):
    results, jobs = finished
    rules = [job["Comment"].removeprefix("rule_").split("_wildcards_")[0] for job in jobs]
    assert {rule: rules.count(rule) for rule in MODEL_JOBS} == MODEL_JOBS
    for stage, models in {"generate": 1, "score": 1, "search": 2}.items():
        logs = sorted((results / "logs" / stage).rglob("*.log"))
        assert logs
        for path in logs:
            started = path.read_text().count("Loading safetensors checkpoint shards: 100%")
            assert started >= models, path


def test_every_method_has_outcomes_and_the_report_is_there(finished):
    results, _ = finished
    outcomes = pd.read_parquet(results / "tables/outcomes.parquet")
    assert set(outcomes["method"]) == set(STUDY["methods"])
    assert outcomes["correct"].between(0, 1).all()
    assert (outcomes["policy_tokens"] > 0).all()
    assert (outcomes.loc[outcomes["prm"] != "none", "prm_tokens"] > 0).all()
    assert json.loads((results / "lookup.json").read_text())["contexts"]
    assert (results / "report.html").stat().st_size > 10_000
