import numpy as np
import pandas as pd
import pytest
import worlds
from testtime.errors import UserError
from testtime.fit.cells import Settings, candidates, contexts, read_cells
from testtime.fit.cost_axis import cost_fits, cost_table, fit_by_cost
from testtime.fit.select import (
    binning_table,
    choice_table,
    compute_optimal_table,
    fit_study,
)

SETTINGS = Settings(seed=1, folds=4, repeats=3, bootstrap=100)


@pytest.fixture(scope="module")
def fits():
    return fit_study(worlds.study(), worlds.study_difficulty(), SETTINGS)


def strategies(prm, budget):
    (cell,) = read_cells(worlds.study())
    return candidates(cell, prm, budget).strategies


def test_contexts_are_every_prm_none_and_any_at_every_budget():
    (cell,) = read_cells(worlds.study())
    assert contexts(cell) == [(prm, n) for prm in ("good", "weak", "none", "any") for n in (4, 16)]


def test_a_prms_context_chooses_among_its_own_strategies_and_those_without_a_prm():
    found = strategies("good", 4)
    assert set(found["prm"]) == {"good", "none"}
    assert set(found["method"]) == {"cot", "majority", "best_of_n", "beam_search"}


def test_without_a_prm_only_cot_and_votes_are_open():
    assert set(strategies("none", 16)["method"]) == {"cot", "majority"}


def test_any_chooses_among_all_prms():
    assert set(strategies("any", 4)["prm"]) == {"good", "weak", "none"}


def test_candidates_spend_exactly_the_budget_or_are_greedy_cot():
    found = strategies("any", 16)
    assert set(found.loc[found["method"] != "cot", "budget"]) == {4, 16}  # at most N
    assert (found["method"] == "cot").sum() == 1


def test_candidates_come_cheapest_first():
    assert strategies("any", 16)["flops"].is_monotonic_increasing


def test_the_best_strategy_of_each_level_is_chosen():
    """Easy: CoT is perfect. Hard: only beam search ever answers. Medium: majority voting."""
    chance = np.repeat([0.9, 0.3, 0.0], 30)
    easy, medium, hard = chance == 0.9, chance == 0.3, chance == 0.0
    rows = pd.concat(
        [
            worlds.outcome(easy, method="cot"),
            worlds.outcome(0.9 * easy + medium, method="majority", vote="majority", budget=4),
            worlds.outcome(
                0.5 * hard, method="beam_search", prm="r", scoring="last", vote="max", budget=4
            ),
        ]
    )
    fits = fit_study(rows, worlds.difficulty(chance), SETTINGS)
    (fit,) = [fit for fit in fits if fit.prm == "r"]
    assert list(fit.choices["difficulty"]) == ["easy", "medium", "hard"]
    assert list(fit.choices["method"]) == ["cot", "majority", "beam_search"]
    assert fit.accuracy == pytest.approx((30 + 30 + 15) / 90)
    assert list(fit.choices["accuracy"]) == pytest.approx([1, 1, 0.5])


def test_costs_are_those_of_what_was_chosen():
    chance = np.full(40, 0.3)
    rows = pd.concat(
        [
            worlds.outcome(np.zeros(40), method="cot"),
            worlds.outcome(np.ones(40), method="majority", vote="majority", budget=16),
        ]
    )
    fits = fit_study(rows, worlds.difficulty(chance), SETTINGS)
    assert fits[0].costs["policy_tokens"] == pytest.approx(16 * worlds.SAMPLE_TOKENS)
    assert fits[0].costs["prm_tokens"] == 0


def test_compute_optimal_table_has_the_published_columns_and_adds_up(fits):
    table = compute_optimal_table(fits)
    columns = "dataset policy prm budget in_sample_accuracy accuracy ci_low ci_high optimism"
    assert list(table)[:12] == [*columns.split(), "policy_tokens", "prm_tokens", "flops"]
    assert len(table) == 8
    difference = table["in_sample_accuracy"] - table["accuracy"]
    assert table["optimism"].to_numpy() == pytest.approx(difference.to_numpy())
    assert (table["ci_low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["ci_high"]).all()


def test_in_sample_with_any_prm_is_at_least_that_with_each(fits):
    table = compute_optimal_table(fits).set_index(["prm", "budget"])["in_sample_accuracy"]
    for prm in ("good", "weak", "none"):
        for budget in (4, 16):
            assert table["any", budget] >= table[prm, budget] - 1e-12


def test_choice_table_has_a_row_per_context_and_difficulty(fits):
    table = choice_table(fits)
    assert len(table) == 8 * 3
    assert set(table["difficulty"]) == {"easy", "medium", "hard"}
    assert table["agreement"].between(0, 1).all()


def test_knowing_difficulty_gains_where_levels_want_different_strategies():
    chance = np.repeat([0.9, 0.0], 40)
    easy = chance == 0.9
    rows = pd.concat(
        [
            worlds.outcome(easy, method="cot"),
            worlds.outcome(~easy * 0.75, method="majority", vote="majority", budget=4),
        ]
    )
    difficulty = worlds.difficulty(chance)
    fits = [
        fit
        for binning in ("all", "level")
        for fit in fit_study(rows, difficulty, SETTINGS, binning=binning)
    ]
    table = binning_table(fits).set_index(["prm", "binning"])
    gain = table.loc[("any", "level")]
    assert gain["gain"] == pytest.approx(0.75 / 2)
    assert gain["gain_low"] > 0
    assert table.loc[("any", "all"), "gain"] == 0


def test_the_same_study_gives_the_same_table():
    first, second = (
        compute_optimal_table(fit_study(worlds.study(), worlds.study_difficulty(), SETTINGS))
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_the_order_of_rows_does_not_matter():
    shuffled = worlds.study().sample(frac=1, random_state=3)
    table = compute_optimal_table(fit_study(shuffled, worlds.study_difficulty(), SETTINGS))
    plain = compute_optimal_table(fit_study(worlds.study(), worlds.study_difficulty(), SETTINGS))
    pd.testing.assert_frame_equal(table, plain)


def test_a_missing_outcome_is_refused_by_name():
    rows = worlds.study()
    with pytest.raises(UserError, match=r"cot, N = 1 has 0 outcomes for problem p000"):
        fit_study(rows.drop(index=0), worlds.study_difficulty(), SETTINGS)


def test_a_problem_without_difficulty_is_refused():
    with pytest.raises(UserError, match="1 problems have none, the first is p059"):
        fit_study(worlds.study(), worlds.study_difficulty().iloc[:-1], SETTINGS)


def test_more_folds_than_problems_are_refused():
    with pytest.raises(UserError, match="3 problems, fewer than 4 folds"):
        fit_study(worlds.study(3), worlds.study_difficulty(3), SETTINGS)


def test_a_study_without_prms_has_contexts_none_and_any():
    rows = worlds.study()
    rows = rows[rows["prm"] == "none"]
    table = compute_optimal_table(fit_study(rows, worlds.study_difficulty(), SETTINGS))
    assert set(table["prm"]) == {"none", "any"}


def test_a_budget_in_tokens_is_kept_in_every_bin():
    fits = fit_by_cost(
        worlds.study(), worlds.study_difficulty(), SETTINGS, axis="policy_tokens", n_budgets=5
    )
    assert fits
    for fit in fits:
        assert (fit.choices["policy_tokens"] <= fit.budget + 1e-9).all()
        assert fit.costs["policy_tokens"] <= fit.budget + 1e-9


def test_the_least_budget_in_tokens_buys_cot_and_the_largest_everything():
    fits = fit_by_cost(worlds.study(), worlds.study_difficulty(), SETTINGS, axis="policy_tokens")
    curve = [fit for fit in fits if fit.prm == "any"]
    assert set(curve[0].choices["method"]) == {"cot"}
    assert curve[-1].budget >= 16 * worlds.SAMPLE_TOKENS
    assert curve[-1].in_sample >= max(fit.in_sample for fit in curve) - 1e-12


def test_an_unknown_cost_is_refused():
    with pytest.raises(UserError, match="axis 'joules' is not known; allowed: policy_tokens"):
        fit_by_cost(worlds.study(), worlds.study_difficulty(), SETTINGS, axis="joules")


RATES = {"small": 100.0, "good": 200.0, "weak": 50.0}


def test_seconds_are_those_of_the_policy_and_of_the_prm_that_the_strategy_uses():
    fits = fit_by_cost(
        worlds.study(), worlds.study_difficulty(), SETTINGS, axis="seconds", rates=RATES
    )
    ends = {prm: [fit.budget for fit in fits if fit.prm == prm] for prm in ("none", "good", "weak")}
    # 50 tokens of CoT; 16 samples of 50 tokens, and as many read by the PRM.
    assert [ends[prm][0] for prm in ends] == [0.5, 0.5, 0.5]
    assert [ends[prm][-1] for prm in ends] == [8, 8 + 4, 8 + 16]


def test_what_each_amount_buys_is_tabulated_with_any_prm():
    table = cost_table(cost_fits(worlds.study(), worlds.study_difficulty(), SETTINGS, RATES))
    assert set(table["axis"]) == {"policy_tokens", "flops", "seconds", "latency_s"}
    assert set(table["prm"]) == {"any"}
    tokens = table[table["axis"] == "policy_tokens"]
    assert (tokens["policy_tokens"] <= tokens["budget"]).all()


def test_a_model_without_a_rate_has_no_seconds():
    rates = RATES | {"good": None}
    table = cost_table(cost_fits(worlds.study(), worlds.study_difficulty(), SETTINGS, rates))
    assert set(table["axis"]) == {"policy_tokens", "flops", "latency_s"}


def test_budgets_of_latency_are_spread_over_the_strategies():
    """Sixteen strategies that take a second or little more, and one that takes 1,000."""
    rows = [
        worlds.outcome(np.full(40, 0.5), method="majority", vote="majority", budget=n).assign(
            latency_s=1000.0 if n == 17 else 1 + n / 100
        )
        for n in range(1, 18)
    ]
    shared = {"axis": "latency_s", "n_budgets": 8, "binning": "all", "prms": ["any"]}
    fits = fit_by_cost(pd.concat(rows), worlds.study_difficulty(40), SETTINGS, **shared)
    budgets = [fit.budget for fit in fits]
    assert sum(budget < 2 for budget in budgets) >= 7
    assert max(budgets) == 1000
