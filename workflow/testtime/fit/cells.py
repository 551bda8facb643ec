"""Outcomes of one policy on one dataset as arrays, from which strategies are chosen.

Also the strategies available to a context, and the bins, folds and resamples of the problems.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.statistics import resample_weights
from testtime.fit.crossfit import draw_folds
from testtime.study.methods import METHODS
from testtime.study.seeds import derive
from testtime.study.vocabulary import (
    ALL,
    ANY,
    CELL,
    CHOSEN,
    COT,
    LEVEL,
    LEVELS,
    NONE,
    SPENT,
    STRATEGY,
)


@dataclass(frozen=True)
class Settings:
    """How choices are fitted; `seed` is the study's."""

    seed: int
    folds: int = 5
    repeats: int = 10
    bootstrap: int = 1000
    confidence: float = 0.95

    @classmethod
    def of_study(cls, config: Mapping) -> "Settings":
        """The settings from a study's config; only seed, fit and evaluate are read."""
        return cls(
            seed=config["seed"],
            folds=config["fit"]["folds"],
            repeats=config["fit"]["repeats"],
            bootstrap=config["evaluate"]["bootstrap"],
            confidence=config["evaluate"]["confidence"],
        )


@dataclass(frozen=True)
class Cell:
    """All strategies of a (dataset, policy), cheapest first.

    Attributes:
        problem_ids: sorted, (n_problems,).
        strategies: one row per strategy: prm, method, scoring, vote, budget, and mean costs.
        correct: expected correctness, (n_problems, n_strategies).
        run_variance: of one run's correctness, over runs; NaN where unknown. In the same shape.
        costs: policy_tokens, prm_tokens, flops, latency_s, kv_gb -> (n_problems, n_strategies).
    """

    dataset: str
    policy: str
    problem_ids: np.ndarray
    strategies: pd.DataFrame
    correct: np.ndarray
    run_variance: np.ndarray
    costs: dict[str, np.ndarray]

    def take(self, wanted: np.ndarray) -> "Cell":
        """The cell with some of its strategies, given as a mask or as indices in a new order."""
        return Cell(
            self.dataset,
            self.policy,
            self.problem_ids,
            self.strategies.loc[wanted].reset_index(drop=True),
            self.correct[:, wanted],
            self.run_variance[:, wanted],
            {name: values[:, wanted] for name, values in self.costs.items()},
        )

    @property
    def prms(self) -> tuple[str, ...]:
        """The PRMs that some strategy of the cell uses, sorted."""
        return tuple(sorted(set(self.strategies["prm"]) - {NONE}))


def read_cells(outcomes: pd.DataFrame) -> Iterator[Cell]:
    """Split outcomes (see `testtime.evaluate`) into cells, sorted by dataset and policy.

    Raises:
        UserError: a strategy has no outcome, or two, on some problem of its cell.
    """
    for (dataset, policy), rows in outcomes.groupby(CELL, sort=True):
        yield _cell(str(dataset), str(policy), rows)


def _cell(dataset: str, policy: str, rows: pd.DataFrame) -> Cell:
    problem, problem_ids = pd.factorize(rows["problem_id"], sort=True)
    grouped = rows.groupby(STRATEGY, sort=True)
    strategy = grouped.ngroup().to_numpy()
    strategies = grouped[SPENT].mean().reset_index()
    shape = (len(problem_ids), len(strategies))
    count = np.zeros(shape, dtype=np.int64)
    np.add.at(count, (problem, strategy), 1)
    if (count != 1).any():
        row, column = np.argwhere(count != 1)[0]
        name = describe(strategies.loc[column])
        raise UserError(
            f"outcomes of {policy} on {dataset}: {name} has {count[row, column]} outcomes for "
            f"problem {problem_ids[row]}; every strategy needs exactly one per problem"
        )
    # At the same FLOPs, but for rounding, methods stand as in the registry: the plainest first.
    flops = strategies["flops"].fillna(0.0).astype("float32")
    shown = strategies["method"].map({name: i for i, name in enumerate(METHODS)})
    keys = strategies.assign(flops=flops, shown=shown.fillna(len(METHODS)))
    order = keys.sort_values(["flops", "shown", *STRATEGY]).index
    arrays = {}
    for name in ["correct", "run_variance", *SPENT]:
        values = np.empty(shape)
        values[problem, strategy] = rows[name].to_numpy(dtype=float)
        arrays[name] = values[:, order]
    return Cell(
        dataset,
        policy,
        np.asarray(problem_ids),
        strategies.loc[order].reset_index(drop=True),
        arrays.pop("correct"),
        arrays.pop("run_variance"),
        arrays,
    )


def spending_cells(outcomes: pd.DataFrame) -> Iterator[Cell]:
    """The cells whose policy spends a budget; others are only compared with, by their CoT."""
    return (cell for cell in read_cells(outcomes) if (cell.strategies["method"] != COT).any())


def with_whole_thoughts(cell: Cell) -> Cell:
    """The strategies of a policy that thinks at its largest thinking budget; else all."""
    thinking = cell.strategies["thinking"]
    return cell.take((thinking == thinking.max()).to_numpy())


def chain_column(cell: Cell) -> int | None:
    """Index of CoT, with all of its thinking, among the cell's strategies; None if it has none."""
    found = cell.strategies.loc[cell.strategies["method"] == COT, "thinking"]
    return int(found.idxmax()) if len(found) else None


def contexts(cell: Cell) -> list[tuple[str, int]]:
    """Every (prm, budget) that gets a choice: each PRM, "none" (no PRM available) and "any"."""
    found = []
    for prm in (*cell.prms, NONE, ANY):
        spends = usable(cell.strategies, prm) & (cell.strategies["method"] != COT)
        found += [(prm, int(n)) for n in sorted(set(cell.strategies["budget"][spends]))]
    return found


def candidates(cell: Cell, prm: str, budget: int) -> Cell:
    """The strategies available to a context.

    Those that spend at most this budget, with this PRM or with none, and plain CoT: if more samples
    do not help, the advice should say so. With PRM "any", the PRM is part of the choice.
    """
    strategies = cell.strategies
    spends = (strategies["budget"] <= budget) | (strategies["method"] == COT)
    return cell.take((usable(strategies, prm) & spends).to_numpy())


def usable(strategies: pd.DataFrame, prm: str) -> pd.Series:
    """Strategies that need no other PRM than this one."""
    if prm == ANY:
        return pd.Series(True, index=strategies.index)
    return strategies["prm"].isin([NONE, prm])


def describe(strategy: pd.Series | dict) -> str:
    """A strategy in one phrase, e.g. "beam_search, scoring last, vote weighted, PRM x, N = 16"."""
    parts = [str(strategy["method"])]
    parts += [f"{key} {strategy[key]}" for key in ("scoring", "vote") if strategy[key] != NONE]
    if strategy["prm"] != NONE:
        parts.append(f"PRM {strategy['prm']}")
    if strategy["thinking"]:
        parts.append(f"up to {int(strategy['thinking'])} tokens of thought")
    return ", ".join([*parts, f"N = {int(strategy['budget'])}"])


def cell_weights(cell: Cell, settings: Settings) -> np.ndarray:
    """Resamples of the cell's problems, the same for every policy of a dataset."""
    seed = derive(settings.seed, "bootstrap", cell.dataset)
    return _weights(len(cell.problem_ids), settings.bootstrap, seed)


@lru_cache(maxsize=4)
def _weights(n_problems: int, n_resamples: int, seed: int) -> np.ndarray:
    weights = resample_weights(n_problems, n_resamples, seed)
    weights.setflags(write=False)  # every context of a dataset reads the same
    return weights


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
    cell: Cell, difficulty: pd.DataFrame | None, binning: str, prm: str = NONE
) -> tuple[tuple[str, ...], np.ndarray, str]:
    """Names of the bins, the bin index of each problem of the cell, and the difficulty's source.

    Where difficulty has a column `prm` (predictions that read a PRM's scores), the rows of this PRM
    are taken, those of "none" for "any". It is not read if the binning is "all"; the bins of
    "chosen" are the levels.

    Raises:
        UserError: a problem of the cell has no difficulty.
    """
    if binning == ALL:
        return (ALL,), np.zeros(len(cell.problem_ids), dtype=np.int64), NONE
    column = LEVEL if binning == CHOSEN else binning
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
    labels = LEVELS if set(rows[column]) <= set(LEVELS) else tuple(sorted(set(rows[column])))
    index = {label: i for i, label in enumerate(labels)}
    return labels, rows[column].map(index).to_numpy(dtype=np.int64), str(rows["source"].iloc[0])
