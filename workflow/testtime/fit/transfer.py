"""Does the choice transfer to an unseen policy? Leave one policy out.

For each policy, the strategy per difficulty is chosen only on the other policies' outcomes, and on
problems other than those it is judged on: neither the policy nor the problem has been seen.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.evaluate.statistics import percentiles
from testtime.fit.cells import (
    Cell,
    Settings,
    bins_of,
    candidates,
    cell_folds,
    cell_weights,
    spending_cells,
)
from testtime.fit.crossfit import MIN_SUPPORT, best_strategy, grouped_sums
from testtime.fit.select import KEYS, Fit, interval
from testtime.study.vocabulary import INTERVAL, STRATEGY

COLUMNS = [*KEYS, "n_policies", "n_problems", "accuracy", *INTERVAL]
COLUMNS += ["own_accuracy", "lost", "lost_low", "lost_high"]


def transfer_table(
    fits: Sequence[Fit], outcomes: pd.DataFrame, difficulty: pd.DataFrame, settings: Settings
) -> pd.DataFrame:
    """Accuracy of each policy when its strategies were chosen on the other policies.

    Args:
        fits: of `fit_study` on the same tables: the policies' own cross-fitted choices.
        outcomes: rows of `tables/outcomes.parquet`.
        difficulty: as for `fit_study`.
        settings: as the fits'.

    Returns:
        Columns dataset, policy (the one left out), prm, budget, n_policies (learned from),
        n_problems, accuracy (transferred), ci_low, ci_high, own_accuracy, lost (own minus
        transferred), lost_low, lost_high (paired, both selections rerun in each resample). Policies
        without another policy of their dataset, on the same problems, have no row.
    """
    cells = {(cell.dataset, cell.policy): cell for cell in spending_cells(outcomes)}
    rows = []
    for fit in fits:
        target = candidates(cells[fit.dataset, fit.policy], fit.prm, int(fit.budget))
        others = [
            candidates(cell, fit.prm, int(fit.budget))
            for (dataset, policy), cell in cells.items()
            if dataset == fit.dataset and policy != fit.policy
        ]
        target, others = _shared(target, others)
        if not others or not len(target.strategies):
            continue
        labels, bins, _ = bins_of(target, difficulty, fit.binning, fit.prm)
        weights = cell_weights(target, settings)
        accuracy, values = _transfer(
            target,
            bins,
            [(cell, bins_of(cell, difficulty, fit.binning, fit.prm)[1]) for cell in others],
            cell_folds(target, bins, settings),
            weights,
            len(labels),
        )
        low, high = interval(accuracy[1:], values, weights, settings.confidence)
        lost = fit.result.accuracy - accuracy
        ends = percentiles(lost[1:], len(values), settings.confidence)
        rows.append(
            dict(zip(KEYS, fit.context, strict=True))
            | {"n_policies": len(others), "n_problems": len(values), "accuracy": accuracy[0]}
            | {"ci_low": low, "ci_high": high, "own_accuracy": fit.accuracy, "lost": lost[0]}
            | {"lost_low": ends[0], "lost_high": ends[1]}
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _shared(target: Cell, others: list[Cell]) -> tuple[Cell, list[Cell]]:
    """Keep the strategies that all policies have, in the target's order, and the same problems."""
    others = [cell for cell in others if np.array_equal(cell.problem_ids, target.problem_ids)]
    names = [
        list(cell.strategies[STRATEGY].itertuples(index=False, name=None))
        for cell in (target, *others)
    ]
    common = set(names[0]).intersection(*names[1:])
    kept = [name for name in names[0] if name in common]
    return (
        target.take(np.array([name in common for name in names[0]], dtype=bool)),
        [
            cell.take(np.array([known.index(name) for name in kept], dtype=int))
            for cell, known in zip(others, names[1:], strict=True)
        ],
    )


def _transfer(
    target: Cell,
    bins: np.ndarray,
    others: list[tuple[Cell, np.ndarray]],
    folds: np.ndarray,
    weights: np.ndarray,
    n_bins: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy per resample (the study itself first), and correctness per problem."""
    n = len(bins)
    weights = np.concatenate([np.full((1, n), 1 / n), weights])
    totals = [_sums(cell.correct, own, weights, n_bins) for cell, own in others]
    gained = np.zeros(len(weights))
    values = np.zeros(n)
    for fold_of in folds:
        for fold in range(int(folds.max()) + 1):
            inside = np.flatnonzero(fold_of == fold)
            means = size = 0.0
            for (cell, own), (sums, whole) in zip(others, totals, strict=True):
                # What is outside the fold is all less the fold, which has far fewer problems.
                here, left = _sums(cell.correct[inside], own[inside], weights[:, inside], n_bins)
                found = _bin_means(sums - here, whole - left, n - len(inside))
                means, size = means + found[0], size + found[1]
            means, size = means / len(others), size / len(others)
            picks = best_strategy(means, np.ones_like(size), size * n)
            here = grouped_sums(target.correct[inside], bins[inside], n_bins, weights[:, inside])
            gained += np.take_along_axis(here, picks[..., None], axis=2).sum(axis=(1, 2))
            values[inside] += target.correct[inside, picks[0][bins[inside]]]
    return gained / len(folds), values / len(folds)


def _sums(
    correct: np.ndarray, bins: np.ndarray, weights: np.ndarray, n_bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sums per resample, bin and strategy, and the weight of each bin's problems."""
    return grouped_sums(correct, bins, n_bins, weights), weights @ np.eye(n_bins)[bins]


def _bin_means(sums: np.ndarray, size: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean per resample, bin and strategy, and the weight of its problems; overwrites `sums`.

    A bin with few problems takes the mean over all.
    """
    total = size.sum(axis=1, keepdims=True)
    few = size < MIN_SUPPORT / n * total
    if few.any():
        sums[few] = sums[np.nonzero(few)[0]].sum(axis=1)
        size = np.where(few, total, size)
    sums /= size[..., None]
    return sums, size
