"""Intervals of what is computed with the selection rerun inside each bootstrap resample."""

import numpy as np
from scipy import stats

from testtime.evaluate.statistics import accuracy_interval


def interval(
    resamples: np.ndarray, values: np.ndarray, weights: np.ndarray, level: float
) -> tuple[float, float]:
    """Interval of a cross-fitted accuracy, with the selection rerun in each resample.

    Never narrower than that of the same answers with the choice taken as given, which also covers
    few problems and accuracies near 0 and 1 (Wilson).

    Args:
        resamples: cross-fitted accuracy of each resample, (n_resamples,).
        values: cross-fitted correctness per problem, (n_problems,).
        weights: of `resample_weights` (columns of these problems), (n_resamples, n_problems).
        level: coverage aimed at, e.g. 0.95.
    """
    if len(values) == 0:
        return float("nan"), float("nan")
    size = weights.sum(axis=1, keepdims=True)
    weights = np.divide(weights, size, out=np.zeros_like(weights), where=size > 0)
    low, high = (float(end) for end in accuracy_interval(values, weights[size[:, 0] > 0], level))
    if len(values) < 2 or len(resamples) == 0:
        return low, high
    rerun = percentiles(resamples, len(values), level)
    return min(low, rerun[0]), max(high, rerun[1])


def percentiles(resamples: np.ndarray, n_problems: int, level: float) -> tuple[float, float]:
    """Expanded percentile interval of any quantity that was recomputed in each resample.

    Source: Hesterberg (2015), section 5.2; see `statistics.bootstrap_interval`.
    """
    n = n_problems
    tail = stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf((1 - level) / 2, n - 1))
    low, high = np.quantile(resamples, [tail, 1 - tail])
    return float(low), float(high)
