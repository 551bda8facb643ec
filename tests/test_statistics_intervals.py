"""Intervals hold what they promise on simulated studies with known truth."""

import numpy as np
import pytest
from scipy import stats
from testtime.evaluate.statistics import (
    accuracy_interval,
    bootstrap_interval,
    effective_n,
    holm,
    paired_difference,
    pooled_difference,
    resample_weights,
    wilson,
)

N_STUDIES = 3000


def simulate(kind, n, rng):
    """Values per problem (n, N_STUDIES) and each study's true accuracy."""
    truth = rng.uniform(0.05, 0.95, N_STUDIES)
    if kind == "one sample":
        return (rng.random((n, N_STUDIES)) < truth).astype(float), truth
    chances = rng.beta(truth * 0.7, (1 - truth) * 0.7, (n, N_STUDIES))
    return rng.binomial(64, chances) / 64, truth


@pytest.mark.parametrize("n", [10, 30, 100, 500])
@pytest.mark.parametrize("kind", ["one sample", "pool of 64"])
def test_accuracy_intervals_cover_95_percent(kind, n):
    values, truth = simulate(kind, n, np.random.default_rng(n))
    low, high = accuracy_interval(values)
    covered = np.mean((low <= truth) & (truth <= high))
    assert covered == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("n", [30, 100, 500])
def test_paired_intervals_cover_95_percent(n):
    rng = np.random.default_rng(n)
    truth = rng.uniform(0.2, 0.8, N_STUDIES)
    gain = rng.uniform(-0.1, 0.1, N_STUDIES)
    chances = rng.beta(truth * 2, (1 - truth) * 2, (n, N_STUDIES))
    # The mean of x(1 - x) over Beta(2t, 2(1 - t)) is t(1 - t) 2/3: the true difference.
    other = chances + gain * chances * (1 - chances)
    difference = gain * truth * (1 - truth) * 2 / 3
    a, b = rng.binomial(32, other) / 32, rng.binomial(32, chances) / 32
    found = [paired_difference(one) for one in (a - b).T]
    covered = np.mean([f.low <= d <= f.high for f, d in zip(found, difference, strict=True)])
    assert covered == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("share", [0.03, 0.1, 0.3])
def test_few_discordant_problems_are_covered(share):
    """Where resampling sees none or one of them, and covers 0.36 to 0.8."""
    rng = np.random.default_rng(4)
    chance = rng.uniform(0.3, 0.7, N_STUDIES)
    differ = rng.random((30, N_STUDIES)) < share
    wins = np.where(rng.random((30, N_STUDIES)) < chance, 1, -1)
    true = share * (2 * chance - 1)
    found = [paired_difference(one) for one in (differ * wins).T]
    assert np.mean([f.low <= t <= f.high for f, t in zip(found, true, strict=True)]) > 0.93
    assert all(f.low < f.high for f in found)


def test_differences_of_right_and_wrong_follow_agresti_and_min():
    """Their adjusted Wald interval: half a problem more in each cell of the table."""
    b, c, n = 9, 2, 40  # problems that one of the two alone gets right
    found = paired_difference(np.r_[np.ones(b), -np.ones(c), np.zeros(n - b - c)])
    middle = (b - c) / (n + 2)
    error = np.sqrt((b + c + 1) - (b - c) ** 2 / (n + 2)) / (n + 2)
    half = stats.norm.ppf(0.975) * error
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half))
    assert found.mean == (b - c) / n
    assert found.p_value == pytest.approx(2 * stats.norm.sf(middle / error))


def test_p_value_and_interval_never_disagree():
    rng = np.random.default_rng(3)
    for _ in range(300):
        found = paired_difference(rng.choice([-1, 0, 1], 25, p=[0.15, 0.5, 0.35]).astype(float))
        assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_several_sets_of_problems_weigh_as_many_as_they_are():
    rng = np.random.default_rng(5)
    parts = [rng.choice([-1.0, 0.0, 1.0], n) for n in (30, 300)]
    found = [(len(part), paired_difference(part)) for part in parts]
    both = pooled_difference(found)
    assert both.mean == pytest.approx(np.concatenate(parts).mean())
    errors = [len(p) / 330 * f.error for p, (_, f) in zip(parts, found, strict=True)]
    assert both.error == pytest.approx(np.hypot(*errors))


@pytest.mark.parametrize(("successes", "n"), [(0, 30), (7, 30), (30, 30), (480, 500)])
def test_wilson_agrees_with_scipy(successes, n):
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("n", [30, 500])
def test_an_accuracy_of_0_or_1_still_has_an_interval(n):
    values = np.stack([np.zeros(n), np.ones(n)], axis=1)
    low, high = accuracy_interval(values)
    assert low[0] == 0 < high[0]
    assert low[1] < 1 == high[1]


def test_effective_n_is_n_for_right_or_wrong_and_more_for_expectations():
    rng = np.random.default_rng(0)
    binary = (rng.random(50) < 0.3).astype(float)
    assert effective_n(binary) == pytest.approx(50)
    assert effective_n(np.full(50, 0.3) + rng.normal(0, 0.05, 50)) > 100


def test_bootstrap_interval_is_as_wide_as_students_t_on_normal_values():
    values = np.random.default_rng(1).normal(size=25)
    low, high = bootstrap_interval(values, resample_weights(25, 20000, seed=0))
    expected = stats.t.interval(0.95, 24, values.mean(), values.std(ddof=1) / 5)
    assert high - low == pytest.approx(expected[1] - expected[0], rel=0.05)


def test_resample_weights_are_shared_counts_over_n():
    weights = resample_weights(7, 50, seed=4)
    assert weights.shape == (50, 7)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights * 7, np.rint(weights * 7), atol=1e-5)
    np.testing.assert_array_equal(weights, resample_weights(7, 50, seed=4))


def test_holm_follows_the_published_steps():
    # Holm (1979): sorted p times m, m - 1, ..., never decreasing, at most 1.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.6]), [1.0, 1.0])


def test_nothing_is_said_about_no_problems():
    low, high = accuracy_interval(np.zeros((0, 3)))
    assert np.isnan(low).all()
    assert np.isnan(high).all()
