import numpy as np
import pytest
from testtime.evaluate.statistics import resample_weights
from testtime.fit.crossfit import crossfit, draw_folds
from testtime.fit.select import interval


def cover(n, worlds, *, better):
    """Share of worlds whose interval holds the procedure's true accuracy.

    Strategies differ per problem by noise; with `better`, one per bin is better on average. The
    truth is the mean of the unbiased cross-fitted accuracy over many worlds.
    """
    found = []
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        chance = rng.beta(0.7, 0.7, n)
        bins = np.digitize(chance, [0.1, 0.5])
        correct = np.clip(chance[:, None] + rng.normal(0, 0.08, (n, 12)), 0, 1)
        if better:
            correct[np.arange(n), bins] = np.clip(correct[np.arange(n), bins] + 0.06, 0, 1)
        weights = resample_weights(n, 200, seed)
        result = crossfit(correct, bins, draw_folds(bins, 5, 2, seed), weights, n_bins=3)
        values = (result.use * correct).sum(axis=1)
        found.append((result.accuracy[0], *interval(result.accuracy[1:], values, weights, 0.95)))
    accuracy, low, high = np.array(found).T
    truth = accuracy.mean()
    return np.mean((low <= truth) & (truth <= high))


@pytest.mark.parametrize("better", [False, True])
def test_intervals_cover_with_the_selection_rerun(better):
    """400 worlds: the standard error of a coverage of 0.95 is 0.011."""
    assert cover(120, 400, better=better) >= 0.95 - 0.03


def test_an_interval_is_never_narrower_than_with_the_choice_taken_as_given():
    values = np.r_[np.ones(5), np.zeros(35)]
    weights = resample_weights(40, 200, 0)
    low, high = interval(np.full(200, values.mean()), values, weights, 0.95)
    assert low < 0.125 < high


def test_without_problems_there_is_no_interval():
    assert np.isnan(interval(np.empty(0), np.empty(0), np.empty((10, 0)), 0.95)).all()
