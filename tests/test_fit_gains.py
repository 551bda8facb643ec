import numpy as np
import pandas as pd
import pytest
import worlds
from testtime.compare.frontier import flops_table, frontier_table
from testtime.compare.gains import efficiency_gain, gains_table, performance_gain
from testtime.compare.voting import voting_ablation
from testtime.fit.cells import Settings
from testtime.fit.select import fit_study
from testtime.fit.transfer import transfer_table
from testtime.study.catalog import PolicySpec

SETTINGS = Settings(seed=1, folds=4, repeats=2, bootstrap=200)
POLICIES = {
    "small": PolicySpec(name="small", parameters=1e6, pretraining_tokens=1e9),
    "large": PolicySpec(name="large", parameters=8e6, pretraining_tokens=2e9),
}


@pytest.fixture(scope="module")
def outcomes():
    return pd.concat([worlds.study(), worlds.study(policy="large", seed=5)], ignore_index=True)


@pytest.fixture(scope="module")
def difficulty():
    return worlds.study_difficulty(policies=("small", "large"))


@pytest.fixture(scope="module")
def fits(outcomes, difficulty):
    return fit_study(outcomes, difficulty, SETTINGS)


def test_efficiency_gain_interpolates_between_the_two_nearest_budgets():
    """Majority's best is 0.6 at N = 64; the curve crosses 0.6 half-way from 4 to 16, at N = 10."""
    gain = efficiency_gain([4, 16, 64], np.array([0.4, 0.5, 0.6]), [4, 16], np.array([0.5, 0.7]))
    assert gain == (pytest.approx(6.4), "")


def test_efficiency_gain_is_a_bound_where_the_least_budget_is_enough():
    gain = efficiency_gain([4, 256], np.array([0.4, 0.6]), [4, 256], np.array([0.65, 0.9]))
    assert gain == (64, ">")


def test_efficiency_gain_is_an_upper_bound_where_no_budget_is_enough():
    gain = efficiency_gain([4, 16], np.array([0.4, 0.6]), [4, 64], np.array([0.2, 0.5]))
    assert gain == (0.25, "<")


def test_majoritys_best_counts_at_its_smallest_budget():
    gain = efficiency_gain([4, 16, 64], np.array([0.4, 0.6, 0.6]), [4, 16], np.array([0.5, 0.6]))
    assert gain == (1.0, "")


def test_performance_gain_over_nothing_is_infinite():
    assert performance_gain(0.0, 0.5) == np.inf


def test_gains_table_is_consistent_with_its_inputs(fits, outcomes):
    table = gains_table(fits, outcomes, SETTINGS).set_index(["policy", "prm"])
    cot = outcomes[outcomes["method"] == "cot"].groupby("policy")["correct"].mean()
    voted = outcomes[outcomes["method"] == "majority"]
    best = voted.groupby(["policy", "budget"])["correct"].mean().groupby("policy").max()
    for policy in ("small", "large"):
        row = table.loc[(policy, "any")]
        assert row["cot"] == pytest.approx(cot[policy])
        assert row["majority"] == pytest.approx(best[policy])
        assert row["budget"] == 16
        assert row["performance_gain"] == pytest.approx(row["compute_optimal"] / cot[policy] - 1)
        assert row["performance_low"] < row["performance_gain"] < row["performance_high"]
        assert row["efficiency_low"] <= row["efficiency_gain"] <= row["efficiency_high"]


def test_gains_stand_beside_the_papers_for_its_models_on_its_dataset():
    name = "qwen2.5-7b-instruct"
    chance = np.linspace(0.02, 0.98, 60)
    for dataset, published in (("math500", 0.185), ("aime24", np.nan)):
        rows = worlds.study(policy=name, dataset=dataset)
        difficulty = worlds.difficulty(chance, policy=name, dataset=dataset)
        table = gains_table(fit_study(rows, difficulty, SETTINGS), rows, SETTINGS)
        assert table["published_performance"].to_list() == pytest.approx(
            [published] * 4, nan_ok=True
        )


def test_frontier_has_cot_and_every_compute_optimal_context(fits, outcomes):
    table = frontier_table(fits, outcomes, POLICIES, SETTINGS)
    assert (table["setting"] == "CoT").sum() == 2
    assert (table["setting"] == "compute-optimal TTS").sum() == len(fits)
    chain = table[(table["policy"] == "large") & (table["setting"] == "CoT")].iloc[0]
    right = outcomes[(outcomes["policy"] == "large") & (outcomes["method"] == "cot")]["correct"]
    assert chain["accuracy"] == pytest.approx(right.mean())
    assert chain["ci_low"] < chain["accuracy"] < chain["ci_high"]


def test_flops_are_six_p_d_and_those_of_the_whole_dataset(fits, outcomes):
    table = flops_table(fits, outcomes, POLICIES, SETTINGS)
    chain = table[(table["policy"] == "small") & (table["setting"] == "CoT")].iloc[0]
    assert chain["pretraining_flops"] == pytest.approx(6 * 1e6 * 1e9)
    assert chain["inference_flops"] == pytest.approx(60 * 2e6 * worlds.SAMPLE_TOKENS)


def test_voting_ablation_has_every_strategy_and_its_gain_over_majority(outcomes):
    table = voting_ablation(outcomes, SETTINGS)
    assert (
        len(table)
        == outcomes[outcomes["method"] != "cot"]
        .groupby(["policy", "prm", "method", "scoring", "vote", "budget"])
        .ngroups
    )
    row = table[
        (table["policy"] == "small")
        & (table["prm"] == "good")
        & (table["method"] == "best_of_n")
        & (table["vote"] == "max")
        & (table["budget"] == 16)
    ].iloc[0]
    majority = table[
        (table["policy"] == "small") & (table["method"] == "majority") & (table["budget"] == 16)
    ].iloc[0]
    assert row["gain"] == pytest.approx(row["accuracy"] - majority["accuracy"])
    assert row["gain_low"] < row["gain"] < row["gain_high"]
    assert majority["gain"] == 0


def test_a_rule_that_holds_for_all_policies_transfers(outcomes, difficulty):
    """Best-of-N is perfect for both policies: what one teaches is right for the other."""
    rows = outcomes.copy()
    rows["correct"] *= 0.9
    rows.loc[rows["method"] == "best_of_n", "correct"] = 1.0
    fits = fit_study(rows, difficulty, SETTINGS)
    table = transfer_table(fits, rows, difficulty, SETTINGS)
    guided = table[table["prm"] != "none"]
    assert guided["accuracy"].to_numpy() == pytest.approx(np.ones(len(guided)))
    assert guided["lost"].to_numpy() == pytest.approx(np.zeros(len(guided)), abs=1e-12)


def test_a_rule_of_one_policy_alone_does_not_transfer(outcomes, difficulty):
    """Beam search is perfect for the small policy, best-of-N for the large one, else nothing."""
    rows = outcomes.copy()
    rows["correct"] = 0.0
    for policy, method in (("small", "beam_search"), ("large", "best_of_n")):
        rows.loc[(rows["policy"] == policy) & (rows["method"] == method), "correct"] = 1.0
    fits = fit_study(rows, difficulty, SETTINGS)
    table = transfer_table(fits, rows, difficulty, SETTINGS)
    guided = table[table["prm"] != "none"]
    assert (guided["accuracy"] == 0).all()
    assert guided["lost"].to_numpy() == pytest.approx(np.ones(len(guided)))


def test_policies_teach_those_that_think_as_they_do(outcomes, difficulty):
    """A policy that thinks has no strategy in common with the others, and takes none from them."""
    thinker = worlds.study(policy="thinker", seed=9).assign(thinking=128)
    rows = pd.concat([outcomes, thinker])
    known = pd.concat([difficulty, worlds.study_difficulty(policies=("thinker",))])
    fits = fit_study(outcomes, difficulty, SETTINGS)
    before = transfer_table(fits, outcomes, difficulty, SETTINGS)
    table = transfer_table(fit_study(rows, known, SETTINGS), rows, known, SETTINGS)
    assert set(table["policy"]) == {"small", "large"}
    assert len(table) == len(before)


def test_one_policy_has_nothing_to_learn_from(difficulty):
    rows = worlds.study()
    fits = fit_study(rows, difficulty, SETTINGS)
    assert transfer_table(fits, rows, difficulty, SETTINGS).empty


def test_tables_without_rows_keep_their_columns(fits, outcomes):
    without = outcomes[outcomes["method"] != "cot"]
    assert "efficiency_gain" in gains_table(fits, without, SETTINGS)
