"""The compute-optimal curve over generated tokens, FLOPs, seconds or latency instead of N.

N counts samples, not their cost: a tree and a pool of equal N differ in tokens, and a PRM may cost
more than the policy. Here any strategy may be chosen, at any N, if its mean cost fits the budget.
Seconds are a problem's share of a full GPU's time, latency those of a problem that runs alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.fit.cells import Cell, Settings, bins_of, read_cells, spending_cells, usable
from testtime.fit.select import KEYS, Fit, choice_table, compute_optimal_table, fit_budgets
from testtime.study.vocabulary import ALL, ANY, CHOSEN, LATENCY, NONE, SPENT

SECONDS = "seconds"
AXES = ("policy_tokens", "flops", SECONDS, LATENCY)


def cost_fits(
    outcomes: pd.DataFrame,
    difficulty: pd.DataFrame,
    settings: Settings,
    rates: Mapping[str, float | None],
) -> dict[str, list[Fit]]:
    """Every context with any PRM, for each amount of tokens, FLOPs, seconds and latency.

    Args:
        outcomes: rows of `tables/outcomes.parquet`.
        difficulty: as for `fit_study`.
        settings: as for `fit_study`.
        rates: policy or PRM -> tokens per second; None where unknown.

    Returns:
        By axis ("policy_tokens", "flops", "seconds", "latency_s"), fits with one strategy for all
        problems and by level where that pays; no fits where costs are unknown.
    """
    shared = {"rates": rates, "prms": (ANY,)}
    return {
        axis: [
            fit
            for binning in (ALL, CHOSEN)
            for fit in fit_by_cost(
                outcomes, difficulty, settings, axis=axis, binning=binning, **shared
            )
        ]
        for axis in AXES
    }


def cost_table(fits: Mapping[str, Sequence[Fit]]) -> pd.DataFrame:
    """Accuracy for each amount on each axis: `tables/by_cost.csv`.

    Args:
        fits: of `cost_fits`.

    Returns:
        Columns axis, then those of `compute_optimal_table`, whose budget is in the unit of the
        axis, per problem.
    """
    chosen = {axis: [fit for fit in own if fit.binning == CHOSEN] for axis, own in fits.items()}
    return _by_axis(chosen, compute_optimal_table)


def cost_choices(fits: Mapping[str, Sequence[Fit]]) -> pd.DataFrame:
    """The chosen strategy for each amount on each axis: `tables/cost_choices.csv`.

    Args:
        fits: of `cost_fits`.

    Returns:
        Columns axis, then those of `choice_table`, whose budget is in the unit of the axis.
    """
    return _by_axis(fits, choice_table)


def _by_axis(
    fits: Mapping[str, Sequence[Fit]], make: Callable[[Sequence[Fit]], pd.DataFrame]
) -> pd.DataFrame:
    """Tables of fits, stacked, with their axis in front."""
    tables = [make(own).assign(axis=axis) for axis, own in fits.items() if own]
    if not tables:
        return pd.DataFrame(columns=["axis", *KEYS])
    rows = pd.concat(tables, ignore_index=True)
    return rows[["axis", *rows.columns.drop("axis")]]


def fit_by_cost(
    outcomes: pd.DataFrame,
    difficulty: pd.DataFrame,
    settings: Settings,
    *,
    axis: str,
    rates: Mapping[str, float | None] | None = None,
    prms: Sequence[str] | None = None,
    n_budgets: int = 24,
    binning: str = CHOSEN,
) -> list[Fit]:
    """Fit every context of a study with the budget in tokens, FLOPs, seconds or latency.

    A bin allows only strategies whose mean cost on the bin's problems is within the budget, so that
    the total is too. Budgets are costs of strategies, spread evenly on a log scale, those of
    latency over the strategies.

    Args:
        outcomes: rows of `tables/outcomes.parquet`.
        difficulty: as for `fit_study`.
        settings: as for `fit_study`.
        axis: "policy_tokens", "prm_tokens", "flops", "latency_s", "kv_gb" or "seconds", per
            problem.
        rates: tokens per second by policy and PRM, for the axis "seconds".
        prms: contexts to fit; by default each PRM, "none" and "any".
        n_budgets: parts of the scale, each of which gives a point if some strategy costs so much.
        binning: as for `fit_study`.

    Returns:
        Fits whose budget is in the unit of the axis; `compute_optimal_table` tabulates them. Cells
        without known costs have none.

    Raises:
        UserError: the axis is not known.
    """
    if axis not in (*SPENT, SECONDS):
        raise UserError(f"axis {axis!r} is not known; allowed: {', '.join((*SPENT, SECONDS))}")
    fits = []
    # A policy that is only compared with has no difficulty to choose by.
    cells = read_cells(outcomes) if binning == ALL else spending_cells(outcomes)
    if axis == SECONDS:
        cells = (_with_seconds(cell, rates or {}) for cell in cells)
    for cell in cells:
        if not np.isfinite(cell.costs[axis]).all():
            continue
        for prm in prms or (*cell.prms, NONE, ANY):
            open_to, means = _priced(cell, prm, difficulty, axis, binning)
            budgets = _budgets(means, n_budgets, by_count=axis == LATENCY)
            allowed = {budget: means <= budget for budget in budgets}
            fits += fit_budgets(open_to, prm, allowed, difficulty, settings, binning=binning)
    return fits


def fit_within(
    cell: Cell, budget: float, difficulty: pd.DataFrame, settings: Settings, *, axis: str
) -> Fit | None:
    """What a policy achieves with any PRM at no more than this mean cost per problem.

    Args:
        cell: the policy's.
        budget: in the unit of the axis.
        difficulty: as for `fit_study`.
        settings: as for `fit_study`.
        axis: as for `fit_by_cost`, but not "seconds".

    Returns:
        None if the problems of some level have no strategy that is so cheap, or costs are unknown.
    """
    open_to, means = _priced(cell, ANY, difficulty, axis, CHOSEN)
    allowed = means <= budget
    if not allowed.any(axis=1).all():
        return None
    found = {budget: allowed}
    (fit,) = fit_budgets(open_to, ANY, found, difficulty, settings, binning=CHOSEN)
    return fit


def _priced(
    cell: Cell, prm: str, difficulty: pd.DataFrame, axis: str, binning: str
) -> tuple[Cell, np.ndarray]:
    """The strategies of a context and their mean cost in each bin, (n_bins, n_strategies)."""
    open_to = cell.take(usable(cell.strategies, prm).to_numpy())
    labels, bins, _ = bins_of(open_to, difficulty, binning, prm)
    return open_to, _bin_costs(open_to, axis, bins, len(labels))


def _with_seconds(cell: Cell, rates: Mapping[str, float | None]) -> Cell:
    """The cell with the time that its tokens take at these rates; NaN if one is unknown."""
    known = per_token(rates)
    reading = cell.strategies["prm"].map(known).to_numpy(dtype=float)
    seconds = cell.costs["policy_tokens"] * known.get(cell.policy, np.nan)
    seconds = seconds + cell.costs["prm_tokens"] * reading
    return replace(cell, costs=cell.costs | {SECONDS: seconds})


def per_token(rates: Mapping[str, float | None]) -> dict[str, float]:
    """Seconds of a token by policy and PRM, of those whose rate is known; "none" takes no time."""
    return {name: 1 / rate for name, rate in rates.items() if rate} | {NONE: 0.0}


def _bin_costs(cell: Cell, axis: str, bins: np.ndarray, n_bins: int) -> np.ndarray:
    """Mean cost of each strategy on each bin's problems; over all in a bin without problems."""
    costs = cell.costs[axis]
    rows = [costs[bins == b] if (bins == b).any() else costs for b in range(n_bins)]
    return np.array([row.mean(axis=0) for row in rows])


def _budgets(means: np.ndarray, n: int, *, by_count: bool = False) -> list[float]:
    """Costs of strategies, from the least that leaves every bin one to that of the dearest.

    Of each of n equal parts of a log scale it is the dearest strategy's: between the costs of two
    strategies more money buys nothing. Parts hold equally many strategies instead where a scale has
    most of them at one end: what is drawn at once takes about the same time, rounds many times it.
    """
    low, high = means.min(axis=1).max(), means.max()
    if low <= 0 or high <= low:
        return [float(high)]
    costs = np.unique(means[means >= low])
    place = np.log(costs / low) / np.log(high / low)
    if by_count:
        place = np.arange(len(costs)) / len(costs)
    part = np.minimum((n * place).astype(int), n - 1)
    points = np.append(low, [costs[part == i].max() for i in np.unique(part)])
    # Three digits are enough for an axis; rounding up keeps the ends inside.
    unit = 10.0 ** (np.floor(np.log10(points)) - 2)
    return sorted(set((np.ceil(points / unit - 1e-9) * unit).tolist()))
