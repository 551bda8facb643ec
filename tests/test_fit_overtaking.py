"""Small policies against larger ones' CoT: at the largest N, at equal FLOPs, with other levels."""

import numpy as np
import pandas as pd
import pytest
import worlds
from testtime.compare.overtaking import (
    Claim,
    equal_flops_table,
    overtaking_table,
    thresholds_table,
)
from testtime.fit.cells import Settings, candidates, read_cells
from testtime.fit.select import fit_context, fit_study
from testtime.study.catalog import PolicySpec

SETTINGS = Settings(seed=1, folds=4, repeats=2, bootstrap=200)
POLICIES = {"small": PolicySpec("small", 1e6), "large": PolicySpec("large", 8e6)}


@pytest.fixture(scope="module")
def outcomes():
    """The larger policy's tokens cost eight times as much."""
    large = worlds.study(policy="large", seed=5)
    large["flops"] *= 8
    return pd.concat([worlds.study(), large], ignore_index=True)


@pytest.fixture(scope="module")
def difficulty():
    return worlds.study_difficulty(policies=("small", "large"))


@pytest.fixture(scope="module")
def fits(outcomes, difficulty):
    return fit_study(outcomes, difficulty, SETTINGS)


def test_overtaking_compares_on_the_same_problems_from_small_to_large_only(fits, outcomes):
    table = overtaking_table(fits, outcomes, POLICIES, SETTINGS, Claim())
    assert table[["small", "large"]].to_numpy().tolist() == [["small", "large"]]
    row = table.iloc[0]
    assert row["size_ratio"] == 8
    assert row["difference"] == pytest.approx(row["small_accuracy"] - row["large_accuracy"])
    assert row["ci_low"] < row["difference"] < row["ci_high"]
    assert row["p_adjusted"] >= row["p_value"] > 0


def compared(shifts, n=200, datasets=("toy",), **claim):
    """The table of a policy that is always right this much more often than a larger one."""
    tables, levels = [], []
    for dataset, shift in zip(datasets, shifts, strict=True):
        chance = np.linspace(0.2, 0.7, n)
        rng = np.random.default_rng(3)
        right = {"large": (rng.random(n) < chance).astype(float)}
        right["small"] = (rng.random(n) < chance + shift).astype(float)
        for policy, correct in right.items():
            names = {"dataset": dataset, "policy": policy}
            tables.append(worlds.outcome(correct, method="cot", **names))
            tables.append(
                worlds.outcome(correct, method="majority", vote="majority", budget=4, **names)
            )
            levels.append(worlds.difficulty(chance, **names))
    outcomes, difficulty = pd.concat(tables), pd.concat(levels)
    fits = fit_study(outcomes, difficulty, SETTINGS)
    return overtaking_table(fits, outcomes, POLICIES, SETTINGS, Claim(**claim))


@pytest.mark.parametrize(
    ("shift", "margin", "verdict"),
    [
        (0.25, 0.02, "passes"),
        (0.0, 0.02, "cannot be told from"),
        (0.0, 0.3, "not worse"),
        (-0.19, 0.02, "falls short of"),
    ],
)
def test_what_may_be_said_follows_the_interval_and_the_margin(shift, margin, verdict):
    (row,) = compared([shift], margin=margin).to_dict("records")
    assert row["verdict"] == verdict
    assert row["primary"]
    assert (row["p_value"] < 0.05) == (row["ci_low"] > 0 or row["ci_high"] < 0)
    assert 0.05 < row["detectable"] < 0.2


def test_several_datasets_are_taken_together_and_alone_they_are_exploratory():
    table = compared([0.2, 0.1], datasets=("a", "b")).set_index("dataset")
    assert table["primary"].to_dict() == {"a": False, "b": False, "all": True}
    assert table.loc["all", "n_problems"] == 400
    assert table.loc["all", "difference"] == pytest.approx(table["difference"][["a", "b"]].mean())
    assert table.loc["all", "detectable"] < table["detectable"][["a", "b"]].min()
    # Holm over the two others: the larger p-value stays, the smaller one is doubled.
    alone = table.loc[["a", "b"]].sort_values("p_value")
    assert alone["p_adjusted"].iloc[0] == pytest.approx(
        min(2 * alone["p_value"].iloc[0], 1), rel=1e-6
    )


def test_thresholds_stay_proportions_and_follow_each_policys_samples(outcomes, difficulty):
    few = difficulty.assign(n_samples=np.where(difficulty["policy"] == "small", 4, 64))
    edges = {"easy": 0.99, "hard": 0.02}
    table = thresholds_table(outcomes, few, POLICIES, SETTINGS, Claim(), edges)
    assert table["easy"].tolist() == pytest.approx([0.99 - np.sqrt(0.99 * 0.01 / 4), 0.99, 1.0])
    assert table["hard"].tolist() == pytest.approx([0.0, 0.02, 0.02 + np.sqrt(0.02 * 0.98 / 4)])


def test_a_study_without_cot_has_no_rows_and_all_columns(fits, outcomes, difficulty):
    without = outcomes[outcomes["method"] != "cot"]
    for table in (
        overtaking_table(fits, without, POLICIES, SETTINGS, Claim()),
        equal_flops_table(without, difficulty, POLICIES, SETTINGS, Claim()),
    ):
        assert table.empty
        assert "p_adjusted" in table


def test_runs_of_both_sides_add_to_what_another_run_would_change(outcomes, difficulty):
    rows = outcomes.copy()
    rows.loc[(rows["policy"] == "small"), "run_variance"] = 0.09
    rows.loc[(rows["policy"] == "large"), "run_variance"] = 0.16
    fits = fit_study(rows, difficulty, SETTINGS)
    (row,) = overtaking_table(fits, rows, POLICIES, SETTINGS, Claim()).to_dict("records")
    assert row["run_sd"] == pytest.approx(np.sqrt((0.09 + 0.16) / 60))
    rows.loc[(rows["policy"] == "small"), "run_variance"] = np.nan
    fits = fit_study(rows, difficulty, SETTINGS)
    (row,) = overtaking_table(fits, rows, POLICIES, SETTINGS, Claim()).to_dict("records")
    assert np.isnan(row["run_sd"])


def test_at_equal_flops_only_what_is_so_cheap_may_be_chosen(outcomes, difficulty):
    """The large CoT takes as much as N = 4 with a PRM; 16 is not affordable."""
    (row,) = equal_flops_table(outcomes, difficulty, POLICIES, SETTINGS, Claim()).to_dict("records")
    cell = next(c for c in read_cells(outcomes) if c.policy == "small")
    four = fit_context(candidates(cell, "any", 4), "any", 4, difficulty, SETTINGS, binning="chosen")
    assert row["small_accuracy"] == pytest.approx(four.accuracy)
    assert row["budget"] == row["large_flops"] == pytest.approx(8e8)
    assert row["small_flops"] <= row["large_flops"]
    assert row["primary"]


def test_at_equal_flops_the_claims_n_holds_too(outcomes, difficulty):
    """A large CoT that pays for N = 16, and a claim of at most 4."""
    rows = outcomes.copy()
    rows.loc[rows["policy"] == "large", "flops"] *= 10
    arguments = rows, difficulty, POLICIES, SETTINGS
    (row,) = equal_flops_table(*arguments, Claim(budget=4)).to_dict("records")
    cell = next(c for c in read_cells(rows) if c.policy == "small")
    four = candidates(cell, "any", 4), "any", 4
    least = fit_context(*four, difficulty, SETTINGS, binning="chosen")
    assert row["small_accuracy"] == pytest.approx(least.accuracy)
    (free,) = equal_flops_table(*arguments, Claim()).to_dict("records")
    assert free["small_flops"] > row["small_flops"]


def test_at_equal_flops_the_primary_comparison_is_with_the_same_policy_and_all_datasets():
    """The largest CoT is too cheap to be met: no other takes its place, nor one dataset all's."""
    sizes = {name: PolicySpec(name, size) for name, size in (("s", 1e6), ("m", 8e6), ("l", 6e7))}
    tables, bins = [], []
    for dataset in ("a", "b"):
        for policy in sizes:
            names = {"policy": policy, "dataset": dataset}
            rows = worlds.study(**names)
            rows["flops"] *= {"s": 1.0, "m": 8.0, "l": 0.01}[policy]
            if (policy, dataset) == ("m", "b"):
                rows["flops"] *= 0.01
            tables.append(rows)
            bins.append(worlds.difficulty(np.linspace(0.02, 0.98, 60), **names))
    outcomes, difficulty = pd.concat(tables), pd.concat(bins)
    table = equal_flops_table(outcomes, difficulty, sizes, SETTINGS, Claim())
    assert {*zip(table["dataset"], table["small"], table["large"], strict=True)} >= {
        ("a", "s", "m")
    }
    assert "all" not in set(table["dataset"])
    assert not table["primary"].any()


def test_costs_that_are_unknown_and_unused_hide_nothing(outcomes, difficulty):
    rows = outcomes.copy()
    worst = (rows["method"] == "majority") & (rows["policy"] == "small")
    rows.loc[worst, "correct"] = 0.0
    rows.loc[worst, "flops"] = np.nan
    fits = fit_study(rows, difficulty, SETTINGS)
    (row,) = overtaking_table(fits, rows, POLICIES, SETTINGS, Claim()).to_dict("records")
    assert row["small_flops"] > 0


def test_at_equal_flops_there_may_be_nothing_to_compare(outcomes, difficulty):
    rows = outcomes.copy()
    rows.loc[rows["policy"] == "large", "flops"] /= 100
    assert equal_flops_table(rows, difficulty, POLICIES, SETTINGS, Claim()).empty


def test_thresholds_move_by_the_standard_error_of_pass_at_1(outcomes, difficulty):
    table = thresholds_table(
        outcomes, difficulty, POLICIES, SETTINGS, Claim(), {"easy": 0.5, "hard": 0.1}
    )
    error = {"easy": 0.5 / 8, "hard": 0.3 / 8}  # sqrt(t (1 - t) / 64)
    assert table["easy"].tolist() == pytest.approx([0.5 - error["easy"], 0.5, 0.5 + error["easy"]])
    assert table["hard"].tolist() == pytest.approx([0.1 - error["hard"], 0.1, 0.1 + error["hard"]])
    chance = difficulty.query("policy == 'small'")["pass_at_1"]
    for row in table.to_dict("records"):
        between = [sorted((row[name], t)) for name, t in (("easy", 0.5), ("hard", 0.1))]
        moved = sum(((chance >= low) & (chance < high)).sum() for low, high in between)
        assert row["n_moved"] == moved
    assert table["n_moved"].gt(0).tolist() == [True, False, True]
    fits = fit_study(outcomes, difficulty, SETTINGS, binning="chosen")
    same = overtaking_table(fits, outcomes, POLICIES, SETTINGS, Claim())
    assert table["small_accuracy"][1] == pytest.approx(same["small_accuracy"][0])
    assert table["verdict"][1] == same["verdict"][0]
