"""Does the choice transfer to an unseen policy? Leave one policy out.

For each policy, the strategy per difficulty is chosen only on the other policies' outcomes, and on
problems other than those it is judged on: neither the policy nor the problem has been seen.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.evaluate.statistics import chosen_interval, paired_difference
from testtime.fit.cells import (
    Cell,
    Settings,
    bins_of,
    candidates,
    cell_folds,
    spending_cells,
)
from testtime.fit.crossfit import MIN_SUPPORT, best_strategy, grouped_sums
from testtime.fit.select import KEYS, Fit
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
        transferred), lost_low, lost_high (paired). Policies
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
            if _thinks(cell) == _thinks(cells[fit.dataset, fit.policy])
        ]
        target, others = _shared(target, others)
        if not others or not len(target.strategies):
            continue
        labels, bins, _ = bins_of(target, difficulty, fit.binning, fit.prm)
        values = _transfer(
            target,
            bins,
            [(cell, bins_of(cell, difficulty, fit.binning, fit.prm)[1]) for cell in others],
            cell_folds(target, bins, settings),
            len(labels),
        )
        low, high = chosen_interval(values, settings.confidence)
        lost = paired_difference(fit.result.values - values, settings.confidence)
        rows.append(
            dict(zip(KEYS, fit.context, strict=True))
            | {"n_policies": len(others), "n_problems": len(bins), "accuracy": values.mean()}
            | {"ci_low": low, "ci_high": high, "own_accuracy": fit.accuracy, "lost": lost.mean}
            | {"lost_low": lost.low, "lost_high": lost.high}
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _thinks(cell: Cell) -> set[int]:
    """The thinking budgets of a cell; only policies with the same ones teach each other."""
    return set(cell.strategies["thinking"])


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
    n_bins: int,
) -> np.ndarray:
    """Correctness of each problem in each draw of the folds, (n_repeats, n_problems)."""
    values = np.zeros(folds.shape)
    for repeat, fold_of in enumerate(folds):
        for fold in range(int(folds.max()) + 1):
            inside, outside = fold_of == fold, fold_of != fold
            found = [
                _bin_means(cell.correct[outside], own[outside], n_bins) for cell, own in others
            ]
            means = sum(mean for mean, _ in found) / len(others)
            size = sum(size for _, size in found) / len(others)
            picks = best_strategy(means, np.ones_like(size), size)
            values[repeat, inside] = target.correct[inside, picks[bins[inside]]]
    return values


def _bin_means(correct: np.ndarray, bins: np.ndarray, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean per bin and strategy, and the number of its problems; over all in a bin with few."""
    size, sums = np.bincount(bins, minlength=n_bins), grouped_sums(correct, bins, n_bins)
    few = size < MIN_SUPPORT
    sums[few], size = sums.sum(axis=0), np.where(few, len(bins), size)
    return sums / size[:, None], size
