"""Intervals and tests over problems: Wilson, paired differences, bootstrap, Holm.

The problems are treated as a sample of possible questions; every interval is for the mean over such
questions. A value per problem may be any number in [0, 1] (an expectation over subsets of a pool),
not only right or wrong: the uncertainty that a pool leaves about a problem is part of the spread
between problems, so the interval includes it.

Values of a strategy that was chosen on other problems come in several repeats, (n_repeats,
n_problems), one for each draw of the folds. The variance of their mean over repeats is the mean
variance of a single repeat's, plus that between repeats (Chernozhukov et al. 2018,
"Double/debiased machine learning", arXiv 1608.00060, definition 3.3): repeats have the same
problems, so averaging them gains little, although it makes each problem's value look steadier. The
interval is for the mean accuracy, on new problems, of the choices that were made (Bayle et al.
2020, "Cross-validation confidence intervals for test error", arXiv 2007.12671).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit  # all of scipy.stats takes long to import

POWER = 0.8  # of the differences that are called detectable


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


def accuracy_interval(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Interval of a mean of values in [0, 1]: Wilson's, with the effective number of problems.

    Args:
        values: array (n_problems,) or (n_problems, n_strategies).
        level: coverage aimed at.

    Returns:
        Low and high ends, one per strategy; NaN without problems.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    n = effective_n(values)
    return wilson(values.mean(axis=0) * n, n, level)


def chosen_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """As `accuracy_interval`, of a strategy that was chosen on other problems.

    Args:
        values: in [0, 1], (n_repeats, n_problems).
        level: coverage aimed at.
    """
    n = values.shape[1]
    if n == 0:
        return float("nan"), float("nan")
    single = effective_n(values.T)
    middle = (values.sum(axis=1) + 0.5) / (n + 1)
    variance = (middle * (1 - middle) / single).mean() + values.mean(axis=1).var()
    middle = (values.mean() * n + 0.5) / (n + 1)
    effective = middle * (1 - middle) / variance
    low, high = wilson(values.mean() * effective, effective, level)
    return float(low), float(high)


class Difference(NamedTuple):
    """A mean difference, its interval, and its two-sided p-value, which never disagree.

    Attributes:
        detectable: smallest true difference that such a comparison shows in 80 % of cases.
    """

    mean: float
    low: float
    high: float
    p_value: float
    error: float
    detectable: float

    def p_value_against(self, bound: float) -> float:
        """Two-sided p-value of a true difference that equals `bound`."""
        return float(2 * ndtr(-abs((self.low + self.high) / 2 - bound) / self.error))


def paired_difference(differences: np.ndarray, level: float = 0.95) -> Difference:
    """A mean difference between two strategies on the same problems.

    Two problems are added, one that each wins by half of the largest difference there is and one
    that neither wins: with few problems on which they differ, the variance would be taken for next
    to nothing.

    Args:
        differences: in [-1, 1], (n_problems,), or (n_repeats, n_problems) where one of them was
            chosen on other problems; at least one problem.
        level: coverage aimed at.

    Source: Agresti and Min (2005), "Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 24:729, for differences that need not be -1, 0 or 1.
    """
    differences = np.atleast_2d(np.asarray(differences, dtype=float))
    size = differences.shape[1] + 2
    largest = np.abs(differences).max() or 1.0
    means = differences.sum(axis=1) / size
    within = ((differences**2).sum(axis=1) + largest**2) / size - means**2
    return _difference(
        float(differences.mean()), float(means.mean()), within.mean() / size + means.var(), level
    )


def pooled_difference(parts: list[tuple[int, Difference]], level: float = 0.95) -> Difference:
    """One difference over several sets of problems, each with as much weight as it has problems.

    Args:
        parts: number of problems of each set, and its difference.
        level: coverage aimed at.
    """
    total = sum(n for n, _ in parts)
    shares = [(n / total, found) for n, found in parts]
    mean = sum(share * found.mean for share, found in shares)
    centre = sum(share * (found.low + found.high) / 2 for share, found in shares)
    variance = sum((share * found.error) ** 2 for share, found in shares)
    return _difference(mean, centre, variance, level)


def _difference(mean: float, centre: float, variance: float, level: float) -> Difference:
    error = float(np.sqrt(variance))
    z = float(ndtri((1 + level) / 2))
    return Difference(
        mean=mean,
        low=centre - z * error,
        high=centre + z * error,
        p_value=float(2 * ndtr(-abs(centre) / error)),
        error=error,
        detectable=float(z + ndtri(POWER)) * error,
    )


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
