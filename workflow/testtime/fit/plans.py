"""What `testtime solve` may promise: plans for new problems, judged as they will be carried out.

A new problem's difficulty is not known. One plan does without and takes one strategy for all. The
other draws a few samples first, predicts the difficulty and chooses by it; those samples count:
strategies of the pool go on from them up to N, a tree search or CoT has only what is left of N.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.fit.cells import ANY, COSTS, COT, NONE, STRATEGY, Cell, contexts, read_cells, usable
from testtime.fit.crossfit import crossfit
from testtime.fit.predict import N_PROBE
from testtime.fit.selection import ALL, Settings, bins_of, cell_folds, cell_weights, summarise

FROM_POOL = ("majority", "confidence", "best_of_n")


def make_plans(
    outcomes: pd.DataFrame,
    predictions: pd.DataFrame | None,
    settings: Settings,
    *,
    n_probe: int = N_PROBE,
) -> list[dict]:
    """Both plans of every context with a named PRM or none.

    Args:
        outcomes: rows of `tables/outcomes.parquet`.
        predictions: rows of `predict.predicted_difficulty`, stacked, with dataset, policy and prm;
            contexts without predictions have only the plan without samples.
        settings: as for `fit_study`.
        n_probe: samples that the predictions read.

    Returns:
        Dicts: dataset, policy, prm, budget, n_probe (0: difficulty is not asked), choices
        (difficulty or "all" -> strategy), accuracy (cross-fitted), ci_low, ci_high, n_problems,
        cost (means per problem, the first samples included).
    """
    plans = []
    for cell in read_cells(outcomes):
        for prm, budget in contexts(cell):
            if prm == ANY:
                continue
            plans.append(_plan(_affordable(cell, prm, budget, 0), None, settings, 0, budget, prm))
            mine = _of(predictions, cell, prm)
            if mine is not None and n_probe <= budget:
                open_to = _affordable(cell, prm, budget, n_probe)
                plans.append(_plan(open_to, mine, settings, n_probe, budget, prm))
    return plans


def best_plan(plans: Sequence[dict]) -> dict:
    """The plan that promises most; of equals the one that spends less."""
    return min(plans, key=lambda plan: (-plan["accuracy"], plan["cost"]["flops"] or 0.0))


def _affordable(cell: Cell, prm: str, budget: int, n_probe: int) -> Cell:
    """Strategies within the budget once `n_probe` samples have been drawn, with their full cost."""
    strategies = cell.strategies[usable(cell.strategies, prm)]
    spends = strategies["budget"] == budget
    if n_probe:
        pooled = strategies["method"].isin(FROM_POOL)
        fits = ~pooled & (strategies["budget"] <= budget - n_probe)
        # Of each method the largest budget that is left.
        largest = strategies[fits].groupby("method")["budget"].transform("max")
        rest = strategies.index.isin(largest.index[strategies["budget"][largest.index] == largest])
        keep = (spends & pooled) | rest
    else:
        keep = spends | (strategies["method"] == COT)
    chosen = cell.take(strategies.index[keep])
    if n_probe:
        extra = (~chosen.strategies["method"].isin(FROM_POOL)).to_numpy()
        for name, values in _probe_costs(cell, prm, n_probe).items():
            chosen.costs[name][:, extra] += values[:, None]
    return chosen


def _probe_costs(cell: Cell, prm: str, n_probe: int) -> dict[str, np.ndarray]:
    """Costs per problem of drawing the first samples and having the PRM read them."""
    for wanted in (("best_of_n", prm), ("majority", NONE), ("confidence", NONE)):
        method, by = wanted
        rows = cell.strategies[
            (cell.strategies["method"] == method) & (cell.strategies["prm"] == by)
        ]
        if len(rows):
            first = rows["budget"].idxmin()
            share = n_probe / rows["budget"].min()
            return {name: cell.costs[name][:, first] * share for name in COSTS}
    return {name: np.zeros(len(cell.problem_ids)) for name in COSTS}


def _of(predictions: pd.DataFrame | None, cell: Cell, prm: str) -> pd.DataFrame | None:
    if predictions is None or predictions.empty:
        return None
    keys = {"dataset": cell.dataset, "policy": cell.policy, "prm": prm}
    mine = predictions[np.logical_and.reduce([predictions[k] == v for k, v in keys.items()])]
    return mine if len(mine) else None


def _plan(
    open_to: Cell,
    predictions: pd.DataFrame | None,
    settings: Settings,
    n_probe: int,
    budget: int,
    prm: str,
) -> dict:
    binning = ALL if predictions is None else "predicted_level"
    labels, bins, _ = bins_of(open_to, predictions, binning, prm)
    weights = cell_weights(open_to, settings)
    folds = cell_folds(open_to, bins, settings)
    result = crossfit(open_to.correct, bins, folds, weights, n_bins=len(labels))
    level = settings.confidence
    fit = summarise(open_to, result, labels=labels, bins=bins, weights=weights, level=level)
    return {
        "dataset": open_to.dataset,
        "policy": open_to.policy,
        "prm": prm,
        "budget": budget,
        "n_probe": n_probe,
        "choices": {
            row["difficulty"]: {key: row[key] for key in STRATEGY}
            for row in fit["choices"].to_dict("records")
        },
        "accuracy": float(result.accuracy[0]),
        "ci_low": fit["low"],
        "ci_high": fit["high"],
        "n_problems": len(bins),
        "cost": fit["costs"],
    }
