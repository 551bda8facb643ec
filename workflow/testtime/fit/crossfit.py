"""Choosing a strategy per bin on some problems and judging the choice on others.

In-sample, the best of many strategies is judged on the problems that made it look best, and is
overstated even if all are equal. Cross-fitting splits the problems into folds, chooses on all but
one and evaluates on that one, so that no problem influences its own answer; drawing the folds
repeatedly averages out the luck of the split.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A bin with fewer problems to choose on uses the choice made over all bins.
MIN_SUPPORT = 10
# Above rounding (1e-16 of a mean) and below any difference that one answer can make.
TIE = 1e-12


def best_strategy(
    sums: np.ndarray,
    size: np.ndarray,
    n_problems: np.ndarray,
    allowed: np.ndarray | None = None,
) -> np.ndarray:
    """The rule of choice: the most accurate strategy, ties to the cheapest.

    The published reward-aware rule (Liu et al. 2025, eq. 3). Every choice of the fit is made here,
    in-sample, cross-fitted and for transfer: another rule (say, the cheapest within
    one standard error of the best) only changes this function.

    Args:
        sums: weighted sums of correctness, (..., n_strategies), cheapest strategy first.
        size: summed weight of the problems, (...): `sums / size[..., None]` is accuracy. This rule
            uses neither it nor the next argument; a rule that considers uncertainty would.
        n_problems: number of problems behind the sums, (...).
        allowed: strategies that may be chosen, in a shape like that of sums; all by default.

    Returns:
        Index of the strategy chosen, (...).
    """
    nudge = -TIE * np.arange(sums.shape[-1])
    if allowed is not None:
        nudge = np.where(allowed, nudge, -np.inf)
    return np.argmax(sums + nudge, axis=-1)


@dataclass(frozen=True)
class CrossFit:
    """Result of cross-fitting.

    Attributes:
        values: correctness of each problem under the strategy chosen on the other folds, for each
            draw of the folds, (n_repeats, n_problems).
        in_sample: accuracy of the best strategy per bin on the same problems.
        bin_in_sample: the same within each bin, (n_bins,); NaN where it holds no problem.
        use: how much of each problem's answer comes from each strategy, (n_problems, n_strategies);
            rows sum to 1. `(use * values).sum(1)` is any quantity per problem, cross-fitted.
        chosen: index of the strategy chosen on all problems, per bin, (n_bins,).
        pooled: whether a bin was too small and took the choice over all bins, (n_bins,).
        agreement: share of the fold-wise choices that are the chosen strategy, (n_bins,).
    """

    values: np.ndarray
    in_sample: float
    bin_in_sample: np.ndarray
    use: np.ndarray
    chosen: np.ndarray
    pooled: np.ndarray
    agreement: np.ndarray

    @property
    def accuracy(self) -> float:
        """Cross-fitted, over all problems."""
        return float(self.values.mean())


def draw_folds(bins: np.ndarray, n_folds: int, n_repeats: int, seed: int) -> np.ndarray:
    """Random folds of equal size, each with its share of every bin.

    Args:
        bins: index of each problem's bin, (n_problems,).
        n_folds: number of folds.
        n_repeats: how many times they are drawn.
        seed: of the draws.

    Returns:
        Fold of each problem in each repeat, (n_repeats, n_problems).
    """
    rng = np.random.default_rng(seed)
    folds = np.empty((n_repeats, len(bins)), dtype=np.int64)
    for row in folds:
        shuffled = rng.permutation(len(bins))
        by_bin = shuffled[np.argsort(bins[shuffled], kind="stable")]
        row[by_bin] = (np.arange(len(bins)) + rng.integers(n_folds)) % n_folds
    return folds


def crossfit(
    correct: np.ndarray,
    bins: np.ndarray,
    folds: np.ndarray,
    *,
    n_bins: int,
    allowed: np.ndarray | None = None,
    min_support: int = MIN_SUPPORT,
) -> CrossFit:
    """Cross-fit the choice of a strategy per bin.

    Args and result: as for `crossfit_each`, with one value of `allowed`.
    """
    (result,) = crossfit_each(
        correct, bins, folds, n_bins=n_bins, allowed=[allowed], min_support=min_support
    )
    return result


def crossfit_each(
    correct: np.ndarray,
    bins: np.ndarray,
    folds: np.ndarray,
    *,
    n_bins: int,
    allowed: Sequence[np.ndarray | None],
    min_support: int = MIN_SUPPORT,
) -> list[CrossFit]:
    """Cross-fit several choices among the same strategies, which differ in what they allow.

    Args:
        correct: expected correctness, (n_problems, n_strategies), cheapest strategy first.
        bins: index of each problem's bin, (n_problems,).
        folds: of `draw_folds`, (n_repeats, n_problems).
        n_bins: number of bins; some may hold no problem.
        allowed: for each result the strategies that may be chosen in each bin,
            (n_bins, n_strategies); None allows all.
        min_support: problems below which a bin takes the choice over all bins, in each fold too.
    """
    n_problems, n_strategies = correct.shape
    size = np.bincount(bins, minlength=n_bins)
    total = grouped_sums(correct, bins, n_bins)
    # Whether a bin has enough problems is decided once, for the choice and its folds: otherwise a
    # bin just above the minimum would be judged by a strategy other than its own.
    few = size < min_support
    chosen = [_choose(total, size, few, mask) for mask in allowed]

    n_folds = int(folds.max()) + 1
    values = np.zeros((len(allowed), *folds.shape))
    use = np.zeros((len(allowed), n_problems, n_strategies))
    agreement = np.zeros((len(allowed), n_bins))
    for repeat, fold_of in enumerate(folds):
        for fold in range(n_folds):
            inside = np.flatnonzero(fold_of == fold)
            others = total - grouped_sums(correct[inside], bins[inside], n_bins)
            seen = size - np.bincount(bins[inside], minlength=n_bins)
            for i, mask in enumerate(allowed):
                picks = _choose(others, seen, few | (seen == 0), mask)
                own = picks[bins[inside]]
                values[i, repeat, inside] = correct[inside, own]
                use[i, inside, own] += 1
                agreement[i] += picks == chosen[i]
    results = []
    for i, mask in enumerate(allowed):
        best = best_strategy(total, size, size, mask)
        in_sample = np.take_along_axis(total, best[:, None], axis=1)[:, 0]
        results.append(
            CrossFit(
                values=values[i],
                in_sample=float(in_sample.sum()) / n_problems,
                bin_in_sample=in_sample / np.where(size > 0, size, np.nan),
                use=use[i] / len(folds),
                chosen=chosen[i],
                pooled=few,
                agreement=agreement[i] / (len(folds) * n_folds),
            )
        )
    return results


def grouped_sums(values: np.ndarray, groups: np.ndarray, n_groups: int) -> np.ndarray:
    """Sums of `values` over the problems of each group.

    Args:
        values: (n_problems, n_strategies).
        groups: index of each problem's group, (n_problems,).
        n_groups: number of groups.

    Returns:
        Array (n_groups, n_strategies).
    """
    return np.eye(n_groups)[groups].T @ values


def _choose(
    sums: np.ndarray, size: np.ndarray, pooled: np.ndarray, allowed: np.ndarray | None
) -> np.ndarray:
    """The strategy chosen per bin, (n_bins,).

    A pooled bin takes the choice over all bins, still among the strategies that the bin allows.
    """
    picks = best_strategy(sums, size, size, allowed)
    if pooled.any():
        overall = np.broadcast_to(sums.sum(axis=0), sums.shape)[pooled]
        whole = np.full(len(overall), size.sum())
        open_to = None if allowed is None else allowed[pooled]
        picks[pooled] = best_strategy(overall, whole, whole, open_to)
    return picks
