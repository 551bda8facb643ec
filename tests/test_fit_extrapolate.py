"""Forecasts of Pass@k and majority votes beyond the pool, against formulas and enumeration."""

from itertools import product
from math import factorial, prod

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import betaln, expit, logit
from testtime.compare.extrapolation import TIMES, forecast_table, next_budget
from testtime.errors import UserError
from testtime.evaluate.estimators import pass_at_k
from testtime.evaluate.votes import Draws, majority_vote
from testtime.fit import extrapolate
from testtime.fit.cells import Settings
from testtime.fit.extrapolate import (
    CHANCES,
    Shapes,
    draw_chances,
    fit_shapes,
    fit_spread,
    forecast_majority,
    forecast_pass,
)


def samples_of(counts: list[int], n: int) -> np.ndarray:
    return (np.arange(n) < np.array(counts)[:, None]).astype(float)


def test_up_to_the_pool_it_is_the_unbiased_estimate():
    counts, n, ks = [0, 1, 5, 20, 0, 2], 20, [1, 3, 10, 20]
    found = forecast_pass(np.array(counts), n, ks)
    expected = [pass_at_k(samples_of(counts, n), k).mean() for k in ks]
    np.testing.assert_allclose(found.value, expected)
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()


def test_a_problem_with_fewer_samples_than_k_counts_by_its_posterior():
    few, many = np.array([0, 3, 1]), np.array([10, 10, 2])
    both = forecast_pass(np.concatenate([few, many]), np.array([4, 4, 4, 16, 16, 16]), [1, 8])
    exact = np.concatenate([pass_at_k(samples_of(few, 4), 1), pass_at_k(samples_of(many, 16), 1)])
    assert both.value[0] == pytest.approx(exact.mean())
    known = pass_at_k(samples_of(many, 16), 8).sum() / 6
    assert known < both.value[1] < known + 0.5


@pytest.mark.parametrize(("right", "zero"), [(0, 0.3), (0, 0.0), (2, 0.3), (12, 0.0)])
def test_chances_given_a_count_have_their_closed_form(right, zero):
    a, b, n, k, draws = 0.4, 3.0, 12, 50, 20_000
    density = CHANCES**a * (1 - CHANCES) ** b  # of a beta distribution, in log odds
    density = np.repeat((density / density.sum())[:, None], draws, axis=1)
    shapes = Shapes(density, np.full(draws, zero))
    found = draw_chances(shapes, np.array([right]), np.array([n]), np.random.default_rng(0))
    missed = np.exp(betaln(a + right, b + n - right + k) - betaln(a + right, b + n - right))
    none = np.exp(betaln(a, b + n) - betaln(a, b))
    hopeless = zero / (zero + (1 - zero) * none) if right == 0 else 0.0
    assert ((1 - found) ** k).mean() == pytest.approx(hopeless + (1 - hopeless) * missed, abs=0.01)


def test_shapes_have_the_posterior_that_weighted_draws_of_the_prior_have():
    n, rng = 10, np.random.default_rng(3)
    right = rng.binomial(n, np.where(rng.random(40) < 0.3, 0, rng.beta(1.5, 3, 40)))
    draws, places = 4000, (np.arange(100) + 0.5) / 100
    a, b, scale = np.exp(rng.normal([[0], [0], [0]], [[1], [1], [0.5]], (3, draws)))
    middle, zero = rng.normal(-2, 3, draws), rng.beta(0.5, 3, draws)
    odds = logit(stats.beta.ppf(places, a[:, None], b[:, None]).clip(1e-12, 1 - 1e-12))
    chances = expit(middle[:, None] + scale[:, None] * odds)
    logs = np.zeros(draws)
    for count, times in zip(*np.unique(right, return_counts=True), strict=True):
        solvable = stats.binom.pmf(count, n, chances).mean(axis=1)
        logs += times * np.log((1 - zero) * solvable + zero * (count == 0) + 1e-300)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    found = fit_shapes(right, np.full(40, n), np.random.default_rng(0))
    assert found.zero.mean() == pytest.approx(weights @ zero, abs=0.03)
    for k in (1, 5, 40):
        passed = (1 - found.zero) * ((1 - (1 - CHANCES) ** k) @ found.density)
        expected = (1 - zero) * (1 - (1 - chances) ** k).mean(axis=1)
        assert passed.mean() == pytest.approx(weights @ expected, abs=0.015)


def test_intervals_widen_with_k_and_hold_the_truth():
    rng, ks = np.random.default_rng(1), [64, 128, 512, 2048]
    chances = rng.beta(0.3, 2, 300)
    found = forecast_pass(rng.binomial(64, chances), 64, ks)
    truth = [(1 - (1 - chances) ** k).mean() for k in ks]
    assert (found.low <= truth).all()
    assert (truth <= found.high).all()
    assert (np.diff(found.high - found.low) > 0).all()
    assert (np.diff(found.value) >= 0).all()
    assert found.gain[0] == found.gain_low[0] == found.gain_high[0] == 0
    assert (found.gain_low[1:] > 0).all()


def test_nothing_right_says_little_about_many_more_samples():
    found = forecast_pass(np.zeros(30, dtype=int), 16, [16, 64, 1024])
    assert found.value[0] == 0
    assert found.high[1] < 0.2 < found.high[2]
    assert (found.low < 0.02).all()


@pytest.mark.parametrize(
    ("right", "samples", "ks", "message"),
    [
        ([3], 2, [1], "3 of 2 right"),
        ([-1], 2, [1], "-1 of 2 right"),
        ([0], 0, [1], "0 of 0 right"),
        ([], 4, [1], "no problem"),
        ([1], 4, [0, 1], r"k = \[0, 1\]"),
        ([1], 4, [8, 4], r"k = \[8, 4\]"),
        ([1], 4, [], r"k = \[\]"),
    ],
)
def test_counts_that_cannot_be_are_refused(right, samples, ks, message):
    with pytest.raises(UserError, match=message):
        forecast_pass(np.array(right, dtype=int), samples, ks)


def chance_to_win(shares: list[float], k: int) -> float:
    """Of the first answer among k votes, by enumeration; what is left does not vote."""
    shares, won = [*shares, 1 - sum(shares)], 0.0
    for votes in product(range(k + 1), repeat=len(shares)):
        if sum(votes) == k:
            top = max(votes[:-1])
            share = votes[:-1].count(top) if votes[0] == top > 0 else np.inf
            each = prod(s**v / factorial(v) for s, v in zip(shares, votes, strict=True))
            won += factorial(k) * each / share
    return won


@pytest.mark.parametrize("shares", [[0.4, 0.35, 0.25], [0.3, 0.3, 0.1], [0.02, 0.01], [0.6]])
def test_votes_are_won_as_often_as_by_enumeration(shares):
    draws, many, k = 100_000, 10**9, 5
    rivals = many * np.array([shares[1:]])
    others = many * (1 - shares[0]) - np.cumsum(rivals, axis=1)
    chances = np.full((draws, 1), shares[0])
    won = extrapolate._vote(chances, rivals, others, [k], np.random.default_rng(0))
    assert won.mean() == pytest.approx(chance_to_win(shares, k), abs=0.005)


@pytest.mark.parametrize(("discount", "strength"), [(0.05, 3.0), (0.5, 1.0), (0.8, 10.0)])
def test_the_spread_of_wrong_answers_is_recovered(discount, strength):
    """Drawn one after the other, as the process is defined."""
    rng, counts = np.random.default_rng(0), []
    for _ in range(150):
        seen = np.zeros(0)
        for drawn in range(60):
            new = (strength + discount * len(seen)) / (strength + drawn)
            if rng.random() < new:
                seen = np.append(seen, 1)
            else:
                seen[rng.choice(len(seen), p=(seen - discount) / (seen - discount).sum())] += 1
        counts.append(seen.astype(int))
    found = fit_spread(counts)
    assert found[0] == pytest.approx(discount, abs=0.1)
    assert np.log(found[1]) == pytest.approx(np.log(strength), abs=0.6)


def pool(*answers: str) -> tuple[np.ndarray, np.ndarray]:
    """Classes and correctness; "a" is right, "-" no answer."""
    classes = np.array([["abcdefghij".find(x) for x in row] for row in answers])
    return classes, (classes == 0).astype(float)


def test_at_the_pool_it_is_the_vote_of_the_pool():
    classes, correct = pool("aabbc---", "abbbbccc", "aaaa--bb", "--------")
    found = forecast_majority(classes, correct, [8, 16])
    exact, _ = majority_vote(classes, correct, 8, Draws(1, np.zeros(4)))
    assert found.value[0] == pytest.approx(exact.mean())


def test_ever_more_votes_go_to_the_mode():
    classes, correct = pool(*["a" * 24 + "b" * 8] * 30, *["a" * 4 + "b" * 24 + "c" * 4] * 10)
    found = forecast_majority(classes, correct, [32, 3200])
    assert found.value[1] == pytest.approx(0.75, abs=0.02)
    assert found.low[1] <= 0.75 <= found.high[1]


def test_close_races_stay_unsure_however_many_vote():
    close, _ = pool(*["a" * 17 + "b" * 15] * 20)
    clear, _ = pool(*["a" * 28 + "b" * 4] * 20)
    widths = []
    for classes in (close, clear):
        found = forecast_majority(classes, (classes == 0).astype(float), [32, 320_000])
        widths.append(found.high[1] - found.low[1])
    assert widths[0] > 0.1 > 0.02 > widths[1]


def test_a_vote_of_fewer_than_the_pool_is_refused():
    with pytest.raises(UserError, match="vote of 4 samples; allowed: 8"):
        forecast_majority(*pool("aabbc---"), [4, 8])


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng, n, size = np.random.default_rng(2), 16, 40
    tables = []
    for policy, share in (("good", 0.9), ("poor", 0.02)):
        right = rng.random((size, n)) < rng.beta(10 * share, 10 * (1 - share), size)[:, None]
        rows = {"problem_id": np.repeat([f"p{i}" for i in range(size)], n)}
        rows |= {"path": np.tile(np.arange(n), size), "answer_class": (~right).astype(int).ravel()}
        rows |= {"correct": pd.array(right.ravel(), dtype="boolean")}
        rows |= {"dataset": "d", "policy": policy, "method": "pool"}
        tables.append(pd.DataFrame(rows))
    held_out = tables[0].assign(method="difficulty", correct=False)
    return forecast_table(pd.concat([*tables, held_out]), Settings(seed=1))


def test_the_table_says_what_is_extrapolated(table):
    assert len(table) == 2 * 2 * len(TIMES)
    assert set(table["k"]) == {16 * times for times in TIMES}
    assert (table["extrapolated"] == (table["k"] > 16)).all()
    assert table["value"].between(table["ci_low"], table["ci_high"]).all()
    assert (table["n_problems"] == 40).all()
    assert (table.loc[table["k"] == 16, "gain"] == 0).all()


def test_the_same_seed_gives_the_same_forecast():
    counts = np.array([0, 1, 4])
    first, again, other = (forecast_pass(counts, 8, [8, 32], seed=seed) for seed in (1, 1, 2))
    assert first.value[1] == again.value[1] != other.value[1]


def test_more_samples_pay_where_the_whole_interval_of_the_gain_does():
    gains = {"sure": (0.03, 0.05), "small": (0.0, 0.01), "unsure": (0.0, 0.05)}
    rows = [
        {"dataset": "d", "policy": name, "method": "pass", "k": k, "gain": sum(ends) / 2}
        | {"gain_low": ends[0], "gain_high": ends[1]}
        for name, ends in gains.items()
        for k in (16, 32, 64)
    ]
    found = next_budget(pd.DataFrame(rows), [("d", name) for name in gains], 0.02)
    pays = {row["policy"]: row["pays"] for row in found}
    assert pays == {"sure": "yes", "small": "no", "unsure": "cannot be told"}
    assert {row["k"] for row in found} == {64}
    assert next_budget(pd.DataFrame(rows), [("d", "another")], 0.02) == []


def test_real_counts_are_forecast_from_a_hundredth_of_the_samples(shared_data):
    counts = pd.read_csv(shared_data / "counts/pythia_math_10000.csv")
    covered, better = [], []
    for _, problems in counts.groupby("model"):
        total, right = problems["samples"].to_numpy(), problems["correct"].to_numpy()
        few = np.random.default_rng(5).hypergeometric(right, total - right, 100)
        found = forecast_pass(few, 100, [200, 1000])
        for i, k in enumerate([200, 1000]):
            truth = pass_at_k(samples_of(list(right), 10_000), k).mean()
            covered.append(found.low[i] <= truth <= found.high[i])
            better.append(abs(found.value[i] - truth) < abs((few > 0).mean() - truth))
    assert sum(covered) >= 5
    assert sum(better) >= 5
