"""The compute-optimal choice of every context of a study, cross-fitted beside in-sample.

A context is (dataset, policy, PRM or "any" or "none", budget, difficulty). The paper's reward-aware
rule takes the strategy that answers most problems of the context right (Liu et al. 2025, eq. 3).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.difficulty import LEVELS
from testtime.evaluate.statistics import resample_weights
from testtime.fit.cells import (
    ANY,
    COSTS,
    NONE,
    STRATEGY,
    Cell,
    candidates,
    contexts,
    read_cells,
)
from testtime.fit.crossfit import CrossFit, crossfit, draw_folds
from testtime.fit.intervals import interval
from testtime.study.seeds import derive

ALL = "all"


@dataclass(frozen=True)
class Settings:
    """How choices are fitted; `seed` is the study's."""

    seed: int
    folds: int = 5
    repeats: int = 10
    bootstrap: int = 1000
    confidence: float = 0.95

    @classmethod
    def of_study(cls, config: dict) -> "Settings":
        """The settings in a study's config."""
        return cls(
            seed=config["seed"],
            folds=config["fit"]["folds"],
            repeats=config["fit"]["repeats"],
            bootstrap=config["evaluate"]["bootstrap"],
            confidence=config["evaluate"]["confidence"],
        )


@dataclass(frozen=True)
class Fit:
    """The choice of one (dataset, policy, prm, budget), difficulty binned in one way.

    Attributes:
        binning: column of the difficulty table that gave the bins, or "all" (one bin).
        source: where that difficulty came from, e.g. "held-out".
        problem_ids: (n_problems,).
        result: accuracies, see `CrossFit`.
        low, high: interval of the cross-fitted accuracy.
        values: cross-fitted correctness per problem, (n_problems,).
        costs: mean per problem of policy_tokens, prm_tokens, flops, cross-fitted.
        strategies: those it chose from, cheapest first: prm, method, scoring, vote, budget.
        means: accuracy of each on each bin's problems, (n_bins, n_strategies); NaN in empty bins.
        choices: one row per bin: difficulty, n_problems, the chosen strategy (prm, method, scoring,
            vote, budget), accuracy, ci_low, ci_high, in_sample_accuracy, agreement, pooled, and the
            chosen strategy's mean costs on the bin's problems.
    """

    dataset: str
    policy: str
    prm: str
    budget: float
    binning: str
    source: str
    problem_ids: np.ndarray
    result: CrossFit
    low: float
    high: float
    values: np.ndarray
    costs: dict[str, float]
    strategies: pd.DataFrame
    means: np.ndarray
    choices: pd.DataFrame

    @property
    def accuracy(self) -> float:
        """Cross-fitted accuracy."""
        return float(self.result.accuracy[0])

    @property
    def in_sample(self) -> float:
        """Accuracy as the paper computes it: chosen and judged on the same problems."""
        return float(self.result.in_sample[0])


def fit_study(
    outcomes: pd.DataFrame,
    difficulty: pd.DataFrame,
    settings: Settings,
    *,
    binning: str = "level",
    tick: Callable[[], object] = lambda: None,
) -> list[Fit]:
    """Fit every context of a study.

    Args:
        outcomes: rows of `tables/outcomes.parquet`.
        difficulty: columns dataset, policy, problem_id, source and the one that `binning` names;
            not read where that is "all".
        settings: folds, repeats, resamples, seed.
        binning: "level", "quantile", "predicted_level" or "all".
        tick: called after each context, for progress.

    Raises:
        UserError: a problem has outcomes and no difficulty, or outcomes are incomplete.
    """
    fits = []
    for cell in read_cells(outcomes):
        weights = cell_weights(cell, settings)
        for prm, budget in contexts(cell):
            labels, bins, source = bins_of(cell, difficulty, binning, prm)
            folds = cell_folds(cell, bins, settings)
            open_to = candidates(cell, prm, budget)
            result = crossfit(open_to.correct, bins, folds, weights, n_bins=len(labels))
            fit = summarise(
                open_to,
                result,
                labels=labels,
                bins=bins,
                weights=weights,
                level=settings.confidence,
            )
            fits.append(Fit(cell.dataset, cell.policy, prm, budget, binning, source, **fit))
            tick()
    return fits


def cell_weights(cell: Cell, settings: Settings) -> np.ndarray:
    """Resamples of the cell's problems, the same for every policy of a dataset."""
    seed = derive(settings.seed, "bootstrap", cell.dataset)
    return resample_weights(len(cell.problem_ids), settings.bootstrap, seed)


def cell_folds(cell: Cell, bins: np.ndarray, settings: Settings) -> np.ndarray:
    """Folds of the cell's problems.

    Raises:
        UserError: there are fewer problems than folds.
    """
    if len(bins) < settings.folds:
        raise UserError(
            f"fit: {cell.dataset} has {len(bins)} problems, fewer than {settings.folds} folds"
        )
    seed = derive(settings.seed, "folds", cell.dataset)
    return draw_folds(bins, settings.folds, settings.repeats, seed)


def bins_of(
    cell: Cell, difficulty: pd.DataFrame, binning: str, prm: str = NONE
) -> tuple[tuple[str, ...], np.ndarray, str]:
    """Names of the bins, the bin index of each problem of the cell, and the difficulty's source.

    Where difficulty has a column `prm` (predictions that read a PRM's scores), the rows of this PRM
    are taken, those of "none" for "any".
    """
    if binning == ALL:
        return (ALL,), np.zeros(len(cell.problem_ids), dtype=np.int64), "none"
    mine = (difficulty["dataset"] == cell.dataset) & (difficulty["policy"] == cell.policy)
    if "prm" in difficulty:
        mine &= difficulty["prm"] == (NONE if prm == ANY else prm)
    rows = difficulty[mine].set_index("problem_id")
    missing = sorted(set(cell.problem_ids) - set(rows.index))
    if missing:
        raise UserError(
            f"difficulty of {cell.policy} on {cell.dataset}: {len(missing)} problems have none, "
            f"the first is {missing[0]}"
        )
    rows = rows.loc[cell.problem_ids]
    labels = LEVELS if set(rows[binning]) <= set(LEVELS) else tuple(sorted(set(rows[binning])))
    index = {label: i for i, label in enumerate(labels)}
    return labels, rows[binning].map(index).to_numpy(dtype=np.int64), str(rows["source"].iloc[0])


def summarise(
    open_to: Cell,
    result: CrossFit,
    *,
    labels: tuple[str, ...],
    bins: np.ndarray,
    weights: np.ndarray,
    level: float,
) -> dict:
    """The parts of a `Fit` that follow from its cross-fit."""
    values = (result.use * open_to.correct).sum(axis=1)
    low, high = interval(result.accuracy[1:], values, weights, level)
    rows, means = [], []
    for b, label in enumerate(labels):
        inside = bins == b
        nothing = np.full(open_to.correct.shape[1], np.nan)
        means.append(open_to.correct[inside].mean(axis=0) if inside.any() else nothing)
        chosen = result.chosen[b]
        resamples = result.bin_accuracy[1:, b]
        ends = interval(resamples[~np.isnan(resamples)], values[inside], weights[:, inside], level)
        where = inside if inside.any() else slice(None)
        rows.append(
            {"difficulty": label, "n_problems": int(inside.sum())}
            | open_to.strategies.loc[chosen, STRATEGY].to_dict()
            | {"accuracy": result.bin_accuracy[0, b], "ci_low": ends[0], "ci_high": ends[1]}
            | {"in_sample_accuracy": result.bin_in_sample[b]}
            | {"agreement": result.agreement[b], "pooled": bool(result.pooled[b])}
            | {name: open_to.costs[name][where, chosen].mean() for name in COSTS}
        )
    costs = {name: float((result.use * open_to.costs[name]).sum(1).mean()) for name in COSTS}
    return {
        "problem_ids": open_to.problem_ids,
        "result": result,
        "low": low,
        "high": high,
        "values": values,
        "costs": costs,
        "strategies": open_to.strategies[STRATEGY],
        "means": np.array(means),
        "choices": pd.DataFrame(rows),
    }
