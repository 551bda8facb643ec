"""Intervals and tests over problems: bootstrap, Wilson, sign flips, Holm.

The problems are treated as a sample of possible questions; every interval is for the mean over such
questions. A value per problem may be any number in [0, 1] (an expectation over subsets of a pool),
not only right or wrong: the uncertainty that a pool leaves about a problem is part of the spread
between problems, so the interval includes it.
"""

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit  # all of scipy.stats takes long to import

# Below this many problems, or successes or failures, resampling cannot see the tails.
SMALL_N = 100
SMALL_COUNT = 10
# Enough that a clear difference stays clear after adjusting for a hundred comparisons; drawn in
# chunks, for memory.
SIGN_FLIPS, AT_ONCE = 100_000, 10_000


def resample_weights(n_problems: int, n_resamples: int, seed: int) -> np.ndarray:
    """How often each bootstrap resample holds each problem, over n_problems.

    One matrix serves every strategy (`weights @ values`), which keeps their differences paired.

    Returns:
        Array (n_resamples, n_problems), float32; each row sums to 1.
    """
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_problems, np.full(n_problems, 1 / n_problems), size=n_resamples)
    return counts.astype(np.float32) / np.float32(n_problems)


def bootstrap_interval(
    values: np.ndarray, weights: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Expanded percentile interval of the mean over problems, see `percentiles`.

    Args:
        values: array (n_problems,) or (n_problems, n_strategies).
        weights: of `resample_weights`.
        level: coverage aimed at, e.g. 0.95.

    Returns:
        Low and high ends, one per strategy; NaN with fewer than two problems.
    """
    values = np.asarray(values)
    n = len(values)
    if n < 2:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    return percentiles(weights @ values.astype(weights.dtype, copy=False), n, level)


def percentiles(
    resamples: np.ndarray, n_problems: int, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Expanded percentile interval of any quantity that was recomputed in each resample.

    The percentiles are moved outwards so that the interval is as wide as Student's t asks; plain
    percentiles are too narrow by a factor of about 1 - 1.7/n.

    Args:
        resamples: array (n_resamples,) or (n_resamples, n_strategies).
        n_problems: at least two.
        level: coverage aimed at.

    Source: Hesterberg (2015), "What teachers should know about the bootstrap", section 5.2.
    """
    n = n_problems
    tail = ndtr(np.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - level) / 2))
    low, high = np.quantile(resamples, [tail, 1 - tail], axis=0)
    return low, high


def wilson(
    successes: float | np.ndarray, n: float | np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score interval of a proportion; never empty, even at 0 or n successes.

    Args:
        successes: may be fractional.
        n: trials, may be an effective number.
        level: coverage aimed at.

    Returns:
        Low and high ends; NaN where n is 0.

    Source: Wilson (1927), JASA 22:209.
    """
    z = ndtri((1 + level) / 2)
    n = np.asarray(n, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = successes / n
        centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # With no or only successes that end is exact; rounding would leave it 1e-19 away.
    return np.where(p <= 0, p, centre - half), np.where(p >= 1, p, centre + half)


def effective_n(values: np.ndarray) -> np.ndarray:
    """Number of right-or-wrong problems whose mean would vary as much as the mean of `values`.

    For values of only 0 and 1 it is n; for expectations, which vary less, more than n. Half a right
    problem and half a wrong one are added before the spread is measured: a few skewed values rarely
    show their tail, and without them the interval covers too seldom.

    Args:
        values: array (n_problems,) or (n_problems, n_strategies), in [0, 1].

    Source: effective sample sizes in Wilson's interval as in Franco et al. (2019), "Comparative
    study of confidence intervals for proportions in complex sample surveys"; the added halves as
    in Jeffreys' prior.
    """
    values = np.asarray(values, dtype=float)
    n = len(values)
    mean = (values.sum(axis=0) + 0.5) / (n + 1)
    variance = ((values**2).sum(axis=0) + 0.5) / (n + 1) - mean**2
    return n * np.maximum(mean * (1 - mean) / variance, 1.0)


def accuracy_interval(
    values: np.ndarray, weights: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of a mean of values in [0, 1]: bootstrap, or Wilson where that is unreliable.

    Wilson (with the effective number of problems) is used below SMALL_N problems and where fewer
    than SMALL_COUNT effective problems were right, or were wrong.

    Args:
        values: array (n_problems,) or (n_problems, n_strategies), in [0, 1].
        weights: of `resample_weights`.
        level: coverage aimed at.

    Returns:
        Low and high ends, one per strategy; NaN without problems.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    mean, n = values.mean(axis=0), effective_n(values)
    wilson_ends = wilson(mean * n, n, level)
    if len(values) < SMALL_N:
        return wilson_ends
    few = np.minimum(mean, 1 - mean) * n < SMALL_COUNT
    ends = bootstrap_interval(values, weights, level)
    return np.where(few, wilson_ends[0], ends[0]), np.where(few, wilson_ends[1], ends[1])


def sign_flip_p_value(differences: np.ndarray, n_resamples: int, seed: int) -> float:
    """Two-sided p-value of "the differences are symmetric around 0".

    By random signs, the observed ones included, so the value is never 0.

    Source: Phipson and Smyth (2010), "Permutation p-values should never be zero".
    """
    differences = np.asarray(differences, dtype=float)
    rng = np.random.default_rng(seed)
    reached = 0
    for first in range(0, n_resamples, AT_ONCE):
        shape = (min(AT_ONCE, n_resamples - first), len(differences))
        signs = rng.integers(0, 2, size=shape, dtype=np.int8) * 2 - 1
        flipped = np.abs(signs @ differences)
        reached += np.count_nonzero(flipped >= abs(differences.sum()) - 1e-9)
    return float((1 + reached) / (1 + n_resamples))


def holm(p_values: np.ndarray) -> np.ndarray:
    """P-values adjusted for having made all of these comparisons.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
