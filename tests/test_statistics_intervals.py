"""Intervals hold what they promise on simulated studies with known truth."""

import numpy as np
import pytest
from scipy import stats
from testtime.evaluate.statistics import (
    accuracy_interval,
    bootstrap_interval,
    effective_n,
    holm,
    resample_weights,
    sign_flip_p_value,
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
    low, high = accuracy_interval(values, resample_weights(n, 1000, seed=1))
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
    low, high = bootstrap_interval(a - b, resample_weights(n, 1000, seed=1))
    covered = np.mean((low <= difference) & (difference <= high))
    assert covered == pytest.approx(0.95, abs=0.02)


def test_p_values_are_uniform_where_nothing_differs():
    rng = np.random.default_rng(3)
    found = [sign_flip_p_value(rng.normal(size=25), 199, seed) for seed in range(400)]
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert min(found) >= 1 / 200


def test_sign_flips_agree_with_all_sign_patterns():
    d = np.array([0.5, 0.25, 1.0, -0.25, 0.75, 0.5])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1).T
    exact = np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-12)
    assert sign_flip_p_value(d, 20000, seed=0) == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize(("successes", "n"), [(0, 30), (7, 30), (30, 30), (480, 500)])
def test_wilson_agrees_with_scipy(successes, n):
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("n", [30, 500])
def test_an_accuracy_of_0_or_1_still_has_an_interval(n):
    values = np.stack([np.zeros(n), np.ones(n)], axis=1)
    low, high = accuracy_interval(values, resample_weights(n, 200, seed=0))
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
    low, high = accuracy_interval(np.zeros((0, 3)), np.zeros((5, 0)))
    assert np.isnan(low).all()
    assert np.isnan(high).all()
