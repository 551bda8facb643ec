"""Outcomes of one policy on one dataset as arrays, and the strategies open to a context."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from testtime.errors import UserError

ANY, NONE, COT = "any", "none", "cot"
STRATEGY = ["prm", "method", "scoring", "vote", "budget"]
COSTS = ["policy_tokens", "prm_tokens", "flops"]


@dataclass(frozen=True)
class Cell:
    """All strategies of a (dataset, policy), cheapest first.

    Attributes:
        problem_ids: sorted, (n_problems,).
        strategies: one row per strategy: prm, method, scoring, vote, budget, and mean costs.
        correct: expected correctness, (n_problems, n_strategies).
        costs: policy_tokens, prm_tokens, flops -> (n_problems, n_strategies).
    """

    dataset: str
    policy: str
    problem_ids: np.ndarray
    strategies: pd.DataFrame
    correct: np.ndarray
    costs: dict[str, np.ndarray]

    def take(self, wanted: np.ndarray) -> "Cell":
        """The cell with some of its strategies, given as a mask or as indices in a new order."""
        return Cell(
            self.dataset,
            self.policy,
            self.problem_ids,
            self.strategies.loc[wanted].reset_index(drop=True),
            self.correct[:, wanted],
            {name: values[:, wanted] for name, values in self.costs.items()},
        )

    @property
    def prms(self) -> tuple[str, ...]:
        """The PRMs that some strategy of the cell uses, sorted."""
        return tuple(sorted(set(self.strategies["prm"]) - {NONE}))


def read_cells(outcomes: pd.DataFrame) -> Iterator[Cell]:
    """Split outcomes (see `testtime.evaluate`) into cells, sorted by dataset and policy.

    Raises:
        UserError: a strategy has no outcome on some problem of its cell, or two.
    """
    for (dataset, policy), rows in outcomes.groupby(["dataset", "policy"], sort=True):
        yield _cell(str(dataset), str(policy), rows)


def _cell(dataset: str, policy: str, rows: pd.DataFrame) -> Cell:
    problem, problem_ids = pd.factorize(rows["problem_id"], sort=True)
    grouped = rows.groupby(STRATEGY, sort=True)
    strategy = grouped.ngroup().to_numpy()
    strategies = grouped[COSTS].mean().reset_index()
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
    order = strategies.fillna(dict.fromkeys(COSTS, 0.0)).sort_values(["flops", *STRATEGY]).index
    arrays = {}
    for name in ["correct", *COSTS]:
        values = np.empty(shape)
        values[problem, strategy] = rows[name].to_numpy(dtype=float)
        arrays[name] = values[:, order]
    return Cell(
        dataset,
        policy,
        np.asarray(problem_ids),
        strategies.loc[order].reset_index(drop=True),
        arrays.pop("correct"),
        arrays,
    )


def contexts(cell: Cell) -> list[tuple[str, int]]:
    """Every (prm, budget) a choice is made for: each PRM, "none" (no PRM at hand) and "any"."""
    found = []
    for prm in (*cell.prms, NONE, ANY):
        spends = usable(cell.strategies, prm) & (cell.strategies["method"] != COT)
        found += [(prm, int(n)) for n in sorted(set(cell.strategies["budget"][spends]))]
    return found


def candidates(cell: Cell, prm: str, budget: int) -> Cell:
    """The strategies among which a context chooses.

    Those that spend exactly this budget, with this PRM or with none, and greedy CoT, which fits
    every budget: where more samples do not help, saying so is the right advice. With PRM "any", the
    PRM is part of the choice.
    """
    strategies = cell.strategies
    spends = (strategies["budget"] == budget) | (strategies["method"] == COT)
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
    return ", ".join([*parts, f"N = {int(strategy['budget'])}"])
