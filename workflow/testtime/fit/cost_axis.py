"""The compute-optimal curve over generated tokens or FLOPs instead of N.

N counts samples, whatever they cost: a tree and a pool of equal N differ in tokens, and a PRM may
cost more than the policy. Here a strategy may be chosen at any N whose mean cost fits the budget.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.fit.cells import ANY, COSTS, NONE, Cell, read_cells, usable
from testtime.fit.crossfit import crossfit
from testtime.fit.selection import Fit, Settings, bins_of, cell_folds, cell_weights, summarise


def fit_by_cost(
    outcomes: pd.DataFrame,
    difficulty: pd.DataFrame,
    settings: Settings,
    *,
    axis: str,
    binning: str = "level",
    n_budgets: int = 8,
) -> list[Fit]:
    """Fit every context of a study with the budget in tokens or FLOPs.

    In each bin only strategies are open whose mean cost on the bin's problems is within the budget,
    so that the whole spends no more than it. Budgets are evenly spaced on a log scale from what the
    cheapest strategy needs to what the dearest does.

    Args:
        outcomes: rows of `tables/outcomes.parquet`.
        difficulty: as for `fit_study`.
        settings: as for `fit_study`.
        axis: "policy_tokens", "prm_tokens" or "flops", per problem.
        binning: as for `fit_study`.
        n_budgets: points of each curve.

    Returns:
        Fits whose budget is in the unit of the axis; `compute_optimal_table` tabulates them. Cells
        without known costs have none.

    Raises:
        UserError: the axis is not known.
    """
    if axis not in COSTS:
        raise UserError(f"axis {axis!r} is not known; allowed: {', '.join(COSTS)}")
    fits = []
    for cell in read_cells(outcomes):
        if not np.isfinite(cell.costs[axis]).all():
            continue
        weights = cell_weights(cell, settings)
        for prm in (*cell.prms, NONE, ANY):
            open_to = cell.take(usable(cell.strategies, prm).to_numpy())
            labels, bins, source = bins_of(cell, difficulty, binning, prm)
            folds = cell_folds(cell, bins, settings)
            means = _bin_costs(open_to, axis, bins, len(labels))
            for budget in _budgets(means, n_budgets):
                result = crossfit(
                    open_to.correct,
                    bins,
                    folds,
                    weights,
                    n_bins=len(labels),
                    allowed=means <= budget,
                )
                parts = summarise(
                    open_to,
                    result,
                    labels=labels,
                    bins=bins,
                    weights=weights,
                    level=settings.confidence,
                )
                fits.append(Fit(cell.dataset, cell.policy, prm, budget, binning, source, **parts))
    return fits


def _bin_costs(cell: Cell, axis: str, bins: np.ndarray, n_bins: int) -> np.ndarray:
    """Mean cost of each strategy on each bin's problems; over all in a bin without problems."""
    costs = cell.costs[axis]
    rows = [costs[bins == b] if (bins == b).any() else costs for b in range(n_bins)]
    return np.array([row.mean(axis=0) for row in rows])


def _budgets(means: np.ndarray, n: int) -> Sequence[float]:
    """From the least that leaves every bin a strategy to what opens all, rounded up."""
    low, high = means.min(axis=1).max(), means.max()
    if low <= 0 or high <= low:
        return [float(high)]
    points = np.geomspace(low, high, n)
    # Three digits are enough for an axis; rounding up keeps the ends inside.
    unit = 10.0 ** (np.floor(np.log10(points)) - 2)
    return sorted(set((np.ceil(points / unit - 1e-9) * unit).tolist()))
