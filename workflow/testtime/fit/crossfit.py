"""Choosing a strategy per bin on some problems and judging the choice on others.

In-sample, the best of many strategies is judged on the problems that made it look best, and is
overstated even if all are equal. Cross-fitting splits the problems into folds, chooses on all but
one and evaluates on that one, so that no problem influences its own answer; drawing the folds
repeatedly averages out the luck of the split.
"""

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
        picks: index of the strategy that answers each fold's problems of each bin,
            (n_repeats, n_folds, n_bins).
        use: how much of each problem's answer comes from each strategy, (n_problems, n_strategies);
            rows sum to 1. `(use * values).sum(1)` is any quantity per problem, cross-fitted.
        chosen: index of the strategy chosen on all problems, per bin, (n_bins,).
        per_bin: whether that is a choice per bin, not one for all bins.
        pooled: whether a bin was too small and took the choice over all bins, (n_bins,).
        agreement: share of the fold-wise choices that are the chosen strategy, (n_bins,).
    """

    values: np.ndarray
    in_sample: float
    bin_in_sample: np.ndarray
    picks: np.ndarray
    use: np.ndarray
    chosen: np.ndarray
    per_bin: bool
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
    prefer_one: bool = False,
) -> CrossFit:
    """Cross-fit the choice of a strategy per bin.

    Args:
        correct: expected correctness, (n_problems, n_strategies), cheapest strategy first.
        bins: index of each problem's bin, (n_problems,).
        folds: of `draw_folds`, (n_repeats, n_problems).
        n_bins: number of bins; some may hold no problem.
        allowed: the strategies that may be chosen in each bin, (n_bins, n_strategies); None allows
            all.
        min_support: problems below which a bin takes the choice over all bins, in each fold too.
        prefer_one: choose one strategy for all bins unless choosing per bin answers more of the
            problems that neither has seen; takes at least three folds.
    """
    size, n_folds = np.bincount(bins, minlength=n_bins), int(folds.max()) + 1
    inside = _fold_sums(correct, bins, folds, n_bins)
    total = inside[0].sum(axis=0)
    # Whether a bin has enough problems is decided once, for the choice and its folds: otherwise a
    # bin just above the minimum would be judged by a strategy other than its own.
    few = size < min_support
    counts = _fold_sums(np.ones((len(bins), 1)), bins, folds, n_bins)[..., 0]

    def choose(sums: np.ndarray, seen: np.ndarray, *, one: bool = False) -> np.ndarray:
        return _choose(sums, seen, few | (seen == 0) | one, allowed)

    chosen = choose(total, size)
    outside, seen = total - inside, size - counts
    picks = choose(outside, seen)
    per_bin = True
    if prefer_one:
        single = choose(outside, seen, one=True)
        gains = _answers(correct, bins, folds, picks) - _answers(correct, bins, folds, single)
        per_bin = bool(gains.mean() > TIE)
        if not per_bin:
            chosen = choose(total, size, one=True)
        # Each fold decides on the other folds too, by choices that have seen neither it nor the
        # fold that they are judged on.
        for fold in range(n_folds):
            rest, known = outside[:, [fold]] - inside, seen[:, [fold]] - counts
            gains = _answers(correct, bins, folds, choose(rest, known))
            gains -= _answers(correct, bins, folds, choose(rest, known, one=True))
            for repeat, fold_of in enumerate(folds):
                if gains[repeat, fold_of != fold].mean() <= TIE:
                    picks[repeat, fold] = single[repeat, fold]
    best = best_strategy(total, size, size, allowed)
    in_sample = np.take_along_axis(total, best[:, None], axis=1)[:, 0]
    return CrossFit(
        values=_answers(correct, bins, folds, picks),
        in_sample=float(in_sample.sum()) / len(bins),
        bin_in_sample=in_sample / np.where(size > 0, size, np.nan),
        picks=picks,
        use=_use(bins, folds, picks, correct.shape[1]),
        chosen=chosen,
        per_bin=per_bin,
        pooled=few,
        agreement=(picks == chosen).mean(axis=(0, 1)),
    )


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


def _fold_sums(values: np.ndarray, bins: np.ndarray, folds: np.ndarray, n_bins: int) -> np.ndarray:
    """Sums over the problems of each bin in each fold, (n_repeats, n_folds, n_bins, ...)."""
    n_folds = int(folds.max()) + 1
    sums = [grouped_sums(values, row * n_bins + bins, n_folds * n_bins) for row in folds]
    return np.reshape(sums, (len(folds), n_folds, n_bins, -1))


def _choose(
    sums: np.ndarray, size: np.ndarray, pooled: np.ndarray, allowed: np.ndarray | None
) -> np.ndarray:
    """The strategy chosen per bin, in the shape of `pooled`, (..., n_bins).

    A pooled bin takes the choice over all bins, still among the strategies that the bin allows.
    """
    overall, whole = sums.sum(axis=-2, keepdims=True), size.sum(axis=-1, keepdims=True)
    sums, size = np.where(pooled[..., None], overall, sums), np.where(pooled, whole, size)
    return best_strategy(sums, size, size, allowed)


def _answers(
    correct: np.ndarray, bins: np.ndarray, folds: np.ndarray, picks: np.ndarray
) -> np.ndarray:
    """Correctness of each problem under its fold's pick, (n_repeats, n_problems)."""
    own = picks[np.arange(len(folds))[:, None], folds, bins]
    return correct[np.arange(len(bins)), own]


def _use(bins: np.ndarray, folds: np.ndarray, picks: np.ndarray, n_strategies: int) -> np.ndarray:
    """How much of each problem's answer comes from each strategy, (n_problems, n_strategies)."""
    use = np.zeros((len(bins), n_strategies))
    for repeat, fold_of in enumerate(folds):
        use[np.arange(len(bins)), picks[repeat, fold_of, bins]] += 1
    return use / len(folds)
