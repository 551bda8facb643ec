"""Table 5: performance gain over CoT and efficiency gain over majority voting.

Source: Liu et al. (2025), table 5; the efficiency gain as corrected by its author in
RyanLiu112/compute-optimal-tts, thread #11.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.compare.published import read_published
from testtime.evaluate.statistics import percentiles
from testtime.fit.cells import (
    Cell,
    Settings,
    cell_weights,
    chain_column,
    read_cells,
    with_whole_thoughts,
)
from testtime.fit.select import KEYS, Fit
from testtime.study.vocabulary import MAJORITY

MORE, LESS = ">", "<"
PUBLISHED_ON = "math500"  # the dataset of the published table
COLUMNS = [*KEYS, "n_problems", "cot", "majority", "compute_optimal"]
COLUMNS += ["performance_gain", "performance_low", "performance_high", "efficiency_gain"]
COLUMNS += ["efficiency_bound", "efficiency_low", "efficiency_low_bound", "efficiency_high"]
COLUMNS += ["efficiency_high_bound"]


def performance_gain(cot: np.ndarray | float, compute_optimal: np.ndarray | float) -> np.ndarray:
    """Compute-optimal accuracy over CoT's, minus 1; infinite if CoT solves nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(compute_optimal, cot) - 1


def efficiency_gain(
    budgets: Sequence[float],
    majority: np.ndarray,
    curve_budgets: Sequence[float],
    curve: np.ndarray,
) -> tuple[float, str]:
    """How much less budget compute-optimal TTS needs for majority voting's best accuracy.

    The budget at which majority voting first reaches its best, over the budget at which the curve
    first reaches that accuracy, interpolated linearly between the two budgets around it.

    Args:
        budgets: of majority voting, ascending.
        majority: its accuracy at each.
        curve_budgets: of the compute-optimal curve, ascending.
        curve: its accuracy at each.

    Returns:
        The ratio, and ">" where the curve's smallest budget already reaches that accuracy (the
        ratio is then a lower bound), "<" where its largest does not (an upper bound), else "".
    """
    top = int(np.argmax(majority))
    target, needed = majority[top], budgets[top]
    reached = np.flatnonzero(np.asarray(curve) >= target)
    if len(reached) == 0:
        return needed / curve_budgets[-1], LESS
    first = int(reached[0])
    if first == 0:
        return needed / curve_budgets[0], MORE
    low, high = curve[first - 1], curve[first]
    share = (target - low) / (high - low)
    before, after = curve_budgets[first - 1], curve_budgets[first]
    return needed / (before + share * (after - before)), ""


def gains_table(fits: Sequence[Fit], outcomes: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Gains of the cross-fitted compute-optimal choice, per dataset, policy and PRM.

    `compute_optimal` is its accuracy at the largest budget, `majority` majority voting's best over
    its budgets. Intervals: bootstrap over problems and over the draws of the folds.

    Returns:
        Columns dataset, policy, prm, budget, n_problems, cot, majority, compute_optimal,
        performance_gain (0.5 is 50 %), performance_low, performance_high, efficiency_gain,
        efficiency_bound (">", "<" or ""), efficiency_low, efficiency_high, their own bounds
        efficiency_low_bound and efficiency_high_bound, and the paper's published_performance and
        published_efficiency where it has the model.
    """
    rows = []
    cells = {(cell.dataset, cell.policy): cell for cell in read_cells(outcomes)}
    for key in sorted({fit.context[:-1] for fit in fits}):
        cell = with_whole_thoughts(cells[key[:2]])
        column = chain_column(cell)
        voted = cell.strategies[cell.strategies["method"] == MAJORITY].sort_values("budget")
        if column is None or voted.empty:
            continue
        curve = [fit for fit in fits if fit.context[:-1] == key]
        curve.sort(key=lambda fit: fit.budget)
        rows.append(
            dict(zip(KEYS[:-1], key, strict=True)) | _gains(cell, column, voted, curve, settings)
        )
    return _beside_published(pd.DataFrame(rows, columns=COLUMNS))


def _beside_published(rows: pd.DataFrame) -> pd.DataFrame:
    published = read_published("table5_gains").assign(dataset=PUBLISHED_ON)
    published["published_performance"] = published["performance_gain_percent"].astype(float) / 100
    published["published_efficiency"] = published["efficiency_gain"]
    keys = ["dataset", "policy"]
    known = published[[*keys, "published_performance", "published_efficiency"]]
    return rows.merge(known, on=keys, how="left")


def _gains(
    cell: Cell, column: int, voted: pd.DataFrame, curve: list[Fit], settings: Settings
) -> dict:
    n = len(cell.problem_ids)
    weights = np.concatenate([np.full((1, n), 1 / n), cell_weights(cell, settings)])
    cot = weights @ cell.correct[:, column]
    majority = weights @ cell.correct[:, voted.index]
    optimal = np.stack([_resampled(fit, weights) for fit in curve], axis=1)
    performance = performance_gain(cot, optimal[:, -1])
    low, high = percentiles(performance[1:], n, settings.confidence)
    budgets, at = voted["budget"].tolist(), [fit.budget for fit in curve]
    efficiency = [efficiency_gain(budgets, *pair) for pair in _pairs(majority, at, optimal)]
    ends = _censored_percentiles(efficiency[1:], settings.confidence)
    return {
        "budget": at[-1],
        "n_problems": n,
        "cot": cot[0],
        "majority": majority[0].max(),
        "compute_optimal": optimal[0, -1],
        "performance_gain": performance[0],
        "performance_low": low,
        "performance_high": high,
        "efficiency_gain": efficiency[0][0],
        "efficiency_bound": efficiency[0][1],
        "efficiency_low": ends[0][0],
        "efficiency_low_bound": ends[0][1],
        "efficiency_high": ends[1][0],
        "efficiency_high_bound": ends[1][1],
    }


def _resampled(fit: Fit, weights: np.ndarray) -> np.ndarray:
    """Accuracy of the choice, then in each resample, each of one draw of the folds."""
    values = fit.result.values
    repeats = np.arange(len(weights) - 1) % len(values)
    return np.append(fit.accuracy, (weights[1:] * values[repeats]).sum(axis=1))


def _pairs(majority: np.ndarray, at: list[float], optimal: np.ndarray) -> list[tuple]:
    return [(m, at, o) for m, o in zip(majority, optimal, strict=True)]


def _censored_percentiles(gains: list[tuple[float, str]], level: float) -> list[tuple[float, str]]:
    """Ends of the percentile interval of values that may be bounds, each with its mark.

    At equal value, an upper bound sorts below plain values and a lower bound above them.
    """
    if not gains:
        return [(float("nan"), ""), (float("nan"), "")]
    rank = {LESS: 0, "": 1, MORE: 2}
    ordered = sorted(gains, key=lambda gain: (gain[0], rank[gain[1]]))
    tail = (1 - level) / 2
    low = int(np.floor(tail * (len(ordered) - 1)))
    return [ordered[low], ordered[len(ordered) - 1 - low]]
