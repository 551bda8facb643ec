"""Plans of `testtime solve` for new problems, evaluated as they will be carried out.

A new problem's difficulty is unknown. One plan ignores it and uses one strategy for all. The other
draws a few samples first, predicts the difficulty and chooses by it; those samples count:
strategies of the pool continue from them up to N, a tree search or CoT has only the rest of N.
Rules that stop drawing early are open to the plan without them alone, as are thinking budgets.
A rule that gives up samples in their middle is open to none.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.fit.cells import Cell, Settings, contexts, spending_cells, usable
from testtime.fit.lookup import find
from testtime.fit.predict import N_PROBE
from testtime.fit.select import KEYS, fit_context
from testtime.study.methods import METHODS, names, rules
from testtime.study.vocabulary import ALL, ANY, COSTS, COT, NONE, STRATEGY

POOL_METHODS = [name for name in names("pool") if not METHODS[name].stops]


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
        predictions: rows of `predict.predict_cell`, stacked;
            contexts without predictions have only the plan without samples.
        settings: as for `fit_study`.
        n_probe: samples that the predictions read.

    Returns:
        Dicts: dataset, policy, prm, budget, n_probe (0: difficulty is not asked), choices
        (difficulty or "all" -> strategy), accuracy (cross-fitted), ci_low, ci_high, n_problems,
        cost (means per problem, the first samples included).
    """
    plans = []
    for cell in spending_cells(outcomes):
        for prm, budget in contexts(cell):
            if prm == ANY:
                continue
            mine = _of(predictions, cell, prm)
            made = [_plan(cell, prm, budget, settings)]
            thinks = cell.strategies["thinking"].any()
            if mine is not None and n_probe <= budget and not thinks:
                made.append(_plan(cell, prm, budget, settings, mine, n_probe))
            plans += [plan for plan in made if plan is not None]
    return plans


def best_plan(plans: Sequence[dict]) -> dict:
    """The plan with the highest expected accuracy; ties go to the cheaper one."""
    return min(plans, key=lambda plan: (-plan["accuracy"], plan["cost"]["flops"] or 0.0))


def plan_for(
    table: dict,
    *,
    policy: str,
    prm: str,
    budget: int,
    dataset: str | None = None,
    probe: bool | None = None,
) -> tuple[dict, dict | None]:
    """The plan for new problems and, if it draws samples first, the predictor it needs.

    Args:
        table: of `lookup.load`.
        policy: its name in the study.
        prm: a PRM's name or "none".
        budget: N.
        dataset: may be left out where the lookup knows only one.
        probe: whether to predict difficulty; None takes the plan with the higher expected accuracy.

    Raises:
        UserError: the context is unknown, its PRM is "any", or it has no such plan.
    """
    if prm == ANY:
        raise UserError("prm 'any' leaves open which; allowed: the name of one, or none")
    context = find(table, policy=policy, prm=prm, budget=budget, difficulty=ALL, dataset=dataset)
    plans = [
        plan
        for plan in table["plans"]
        if _same(plan, context, KEYS) and (probe is None or bool(plan["n_probe"]) == probe)
    ]
    if not plans:
        kind = {True: " that draws samples first", False: " without samples"}.get(probe, "")
        raise UserError(
            f"the lookup has no plan{kind} for policy {policy}, prm {prm}, budget {budget}"
        )
    plan = best_plan(plans)
    predictors = [entry for entry in table["predictors"] if _same(entry, context, KEYS[:-1])]
    return plan, predictors[0] if predictors else None


def _same(one: dict, other: dict, keys: Sequence[str]) -> bool:
    return all(one[key] == other[key] for key in keys)


def _affordable(cell: Cell, prm: str, budget: int, n_probe: int) -> Cell:
    """Strategies within the budget once `n_probe` samples have been drawn, with their full cost."""
    strategies = cell.strategies[usable(cell.strategies, prm)]
    without = rules(stopping=True) if n_probe else [n for n in METHODS if METHODS[n].gives_up]
    strategies = strategies[~strategies["method"].isin(without)]
    spends = (strategies["budget"] >= n_probe) & (strategies["budget"] <= budget)
    if n_probe:
        pooled = strategies["method"].isin(POOL_METHODS)
        fits = ~pooled & (strategies["budget"] <= budget - n_probe)
        # Of each method the largest budget that still fits.
        largest = strategies[fits].groupby("method")["budget"].transform("max")
        rest = strategies.index.isin(largest.index[strategies["budget"][largest.index] == largest])
        keep = (spends & pooled) | rest
    else:
        keep = spends | (strategies["method"] == COT)
    chosen = cell.take(strategies.index[keep])
    if n_probe:
        extra = (~chosen.strategies["method"].isin(POOL_METHODS)).to_numpy()
        for name, values in _probe_costs(cell, prm, n_probe).items():
            chosen.costs[name][:, extra] += values[:, None]
    return chosen


def _probe_costs(cell: Cell, prm: str, n_probe: int) -> dict[str, np.ndarray]:
    """Costs per problem of drawing the first samples and having the PRM read them."""
    strategies = cell.strategies
    pooled = strategies["method"].isin(POOL_METHODS)
    for reads in (prm, NONE):
        rows = strategies[pooled & (strategies["prm"] == reads)]
        if len(rows):
            first = rows["budget"].idxmin()
            share = n_probe / rows["budget"].min()
            return {name: cell.costs[name][:, first] * share for name in COSTS}
    return {name: np.zeros(len(cell.problem_ids)) for name in COSTS}


def _of(predictions: pd.DataFrame | None, cell: Cell, prm: str) -> pd.DataFrame | None:
    if predictions is None or predictions.empty:
        return None
    cells = (predictions["dataset"] == cell.dataset) & (predictions["policy"] == cell.policy)
    mine = predictions[cells & (predictions["prm"] == prm)]
    return mine if len(mine) else None


def _plan(
    cell: Cell,
    prm: str,
    budget: int,
    settings: Settings,
    predictions: pd.DataFrame | None = None,
    n_probe: int = 0,
) -> dict | None:
    """The plan, None if it has no strategy to choose from."""
    open_to = _affordable(cell, prm, budget, n_probe)
    if open_to.strategies.empty:
        return None
    binning = "predicted_level" if n_probe else ALL
    fit = fit_context(open_to, prm, budget, predictions, settings, binning=binning)
    return {
        **dict(zip(KEYS, fit.context, strict=True)),
        "n_probe": n_probe,
        "choices": {
            row["difficulty"]: {key: row[key] for key in STRATEGY}
            for row in fit.choices.to_dict("records")
        },
        "accuracy": fit.accuracy,
        "ci_low": fit.low,
        "ci_high": fit.high,
        "n_problems": len(fit.problem_ids),
        # Its latency is that of drawing first and choosing then, which no strategy of the cell has.
        "cost": {name: fit.costs[name] for name in COSTS},
    }
