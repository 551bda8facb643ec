"""The smoke study, really run once: its tables and its report."""

import json
import re

import pandas as pd
import pytest
from studies import SMOKE, snakemake

KEYS = ["dataset", "policy", "prm", "method", "scoring", "vote", "thinking", "budget"]


@pytest.fixture(scope="module")
def results(study, smoke):
    return study / smoke["results"]


@pytest.fixture(scope="module")
def outcomes(results):
    return pd.read_parquet(results / "tables/outcomes.parquet")


def test_outcomes_have_one_row_per_problem_and_strategy(outcomes):
    columns = [
        *KEYS,
        "problem_id",
        "correct",
        "run_variance",
        "samples",
        "samples_sd",
        "policy_tokens",
        "prm_tokens",
        "flops",
        "latency_s",
        "kv_gb",
    ]
    assert list(outcomes.columns) == columns
    assert not outcomes.duplicated([*KEYS, "problem_id"]).any()
    assert outcomes["correct"].between(0, 1).all()
    assert (outcomes["policy_tokens"] > 0).all()
    per_strategy = outcomes.groupby(KEYS)["problem_id"].nunique()
    assert per_strategy.nunique() == 1


def test_every_method_of_the_config_has_outcomes(outcomes, smoke):
    assert set(outcomes["method"]) == set(smoke["methods"])


def test_methods_without_a_prm_read_no_prm_tokens(outcomes):
    assert (outcomes.loc[outcomes["prm"] == "none", "prm_tokens"] == 0).all()
    assert (outcomes.loc[outcomes["prm"] != "none", "prm_tokens"] > 0).all()


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "accuracy",
            {*KEYS, "difficulty", "n_problems", "accuracy", "ci_low", "ci_high"},
        ),
        ("pass_at_k", {"dataset", "policy", "k", "pass_at_k", "ci_low", "ci_high"}),
        (
            "compute_optimal",
            {"dataset", "policy", "prm", "budget", "in_sample_accuracy", "accuracy", "ci_low"}
            | {"ci_high", "optimism", "policy_tokens", "prm_tokens", "flops"},
        ),
    ],
)
def test_tables_keep_their_columns(results, table, columns):
    rows = pd.read_csv(results / f"tables/{table}.csv")
    assert len(rows)
    assert columns <= set(rows.columns)


def test_intervals_hold_their_accuracy(results):
    rows = pd.read_csv(results / "tables/accuracy.csv").dropna(subset=["ci_low"])
    slack = 1e-5  # the tables round to six digits
    assert (rows["ci_low"] <= rows["accuracy"] + slack).all()
    assert (rows["accuracy"] <= rows["ci_high"] + slack).all()


def test_overall_accuracy_is_the_mean_of_the_outcomes(results, outcomes):
    table = pd.read_csv(results / "tables/accuracy.csv")
    table = table[table["difficulty"] == "all"].fillna({"prm": "none"}).set_index(KEYS)["accuracy"]
    mean = outcomes.groupby(KEYS)["correct"].mean()
    assert (table.sort_index() - mean.sort_index()).abs().max() < 1e-5


def test_lookup_is_versioned_and_names_strategies(results):
    lookup = json.loads((results / "lookup.json").read_text())
    assert lookup["version"] >= 1
    assert lookup["contexts"]


def test_the_report_stands_alone(results):
    text = (results / "report.html").read_text()
    assert len(text) > 10_000
    assert not re.search(r"""(src|href)=["']https?://""", text)


def test_every_notebook_ran_and_is_kept_with_its_outputs(root, results):
    for source in sorted((root / "notebooks").glob("*.ipynb")):
        cells = json.loads((results / "notebooks" / source.name).read_text())["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert all(cell["execution_count"] for cell in code), source.name
        said = [output for cell in code for output in cell["outputs"]]
        assert said
        assert not [o for o in said if o["output_type"] == "error" or o.get("name") == "stderr"]


def test_the_choice_derived_again_is_that_of_the_table(results):
    derived = pd.read_csv(results / "notebooks/compute_optimal.csv")
    table = pd.read_csv(results / "tables/compute_optimal.csv")
    assert len(derived) == len(table)
    assert (derived["cross_fitted"] - derived["cross_fitted_table"]).abs().max() < 2e-6
    assert sorted(derived["cross_fitted_table"]) == sorted(table["accuracy"])


def test_heavy_jobs_leave_a_log_and_a_benchmark(results):
    for stage in ("generate", "score", "search"):
        assert list((results / "logs" / stage).rglob("*.log"))
        assert list((results / "benchmarks" / stage).rglob("*.tsv"))


def test_a_wrong_config_is_refused_before_any_job(study):
    done = snakemake(study, "-n", "--configfile", SMOKE, "--config", "beam_width=3")
    assert done.returncode != 0
    assert "budgets.search" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
