"""Problems on which methods disagree, with every path and each method's answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from testtime.data.samples import whole_thoughts
from testtime.data.store import read_parquet
from testtime.present.figures.looks import look, methods_in_order
from testtime.present.report.paths import ReportCell, Search, Solution, vote
from testtime.study.methods import METHODS
from testtime.study.study import Study
from testtime.study.vocabulary import CELL, COT, MAJORITY, NONE, STRATEGY

CELLS = 4  # most policies shown, spread over the sizes, to keep the report readable
SAMPLES = 8  # samples of the pool shown per problem


@dataclass(frozen=True)
class Answer:
    """One method's answers to a problem, and its expected correctness."""

    method: str
    how: str
    answers: tuple[Solution, ...]
    expected: float | None


@dataclass(frozen=True)
class Example:
    """A problem with everything that was drawn for it by one policy (under one PRM)."""

    dataset: str
    policy: str
    prm: str | None
    problem_id: str
    problem: str
    gold: str
    why: str
    budget: int
    answers: tuple[Answer, ...]
    samples: tuple[Solution, ...]
    searches: tuple[Search, ...]


def examples(study: Study, prm: str | None, policies: list[str]) -> list[Example]:
    """Up to three problems per dataset and policy, at the budget that the figures show.

    Args:
        study: finished.
        prm: the PRM whose scores are shown, None without one.
        policies: by size; of many, CELLS are shown, including the smallest and the largest.
    """
    columns = [*CELL, *STRATEGY, "problem_id", "correct"]
    outcomes = read_parquet(study.layout.path("outcomes"), columns=columns)
    picked = np.unique(np.linspace(0, len(policies) - 1, min(CELLS, len(policies))).round())
    found = []
    for dataset in study.config["datasets"]:
        for policy in [policies[int(i)] for i in picked]:
            # Results may be passed on without their texts, which are most of their size.
            missing = [file for file in study.texts(dataset, policy) if not Path(file).exists()]
            if missing:
                print(f"no examples of {policy} on {dataset}: no such file: {missing[0]}")
                continue
            found += _examples(ReportCell(study, dataset, policy, prm), outcomes)
    return found


def interesting(wide: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Instructive problems, each with the reason.

    Args:
        wide: expected correctness, problems × methods (one strategy each).
    """
    taken: set[str] = set()
    guided = [method for method in wide if METHODS[method].needs_prm]
    plain = MAJORITY if MAJORITY in wide else COT
    if plain not in wide:
        return
    gaps = []
    if guided:
        best, worst = wide[guided].max(axis=1), wide[guided].min(axis=1)
        gaps = [
            (best - wide[plain], f"a PRM-guided method is right where {look(plain).label} is not"),
            (wide[plain] - worst, f"{look(plain).label} is right where a PRM misleads a method"),
        ]
    elif COT in wide and plain != COT:
        gaps = [(wide[plain] - wide[COT], "Majority is right where CoT is not")]
    gaps.append((1 - wide.max(axis=1), "no method answers it"))
    for gap, why in gaps:
        left = gap[~gap.index.isin(taken)].sort_index()
        if len(left) and left.max() > 0.5:
            problem_id = str(left.idxmax())
            taken.add(problem_id)
            yield problem_id, why


def _examples(cell: ReportCell, outcomes: pd.DataFrame) -> Iterator[Example]:
    strategies = shown_strategies(outcomes, cell)
    if strategies.empty:
        return
    wide = strategies.pivot_table(index="problem_id", columns="method", values="correct")
    chosen = dict(interesting(wide))
    if not chosen:
        return
    problems, golds = cell.problems(list(chosen))
    drawn, searched = cell.solutions(list(chosen)), cell.searches(list(chosen))
    for problem_id, why in chosen.items():
        own, searches = drawn[problem_id], searched[problem_id]
        choices = own.choices | {search.method: search.solutions for search in searches}
        yield Example(
            dataset=cell.dataset,
            policy=cell.policy,
            prm=cell.prm,
            problem_id=problem_id,
            problem=problems[problem_id],
            gold=golds[problem_id],
            why=why,
            budget=cell.budget,
            answers=tuple(_answers(cell, wide.loc[problem_id], choices)),
            samples=(*own.chains[:SAMPLES], *own.pool[:SAMPLES]),
            searches=tuple(searches),
        )


def shown_strategies(outcomes: pd.DataFrame, cell: ReportCell) -> pd.DataFrame:
    """The cell's outcomes of one strategy per method: that of the budget, scoring and vote shown.

    Args:
        outcomes: dataset, policy, the columns of a strategy, problem_id and correct.
        cell: what is shown.
    """
    own = outcomes[(outcomes["dataset"] == cell.dataset) & (outcomes["policy"] == cell.policy)]
    own = whole_thoughts(own)
    found = []
    for name in cell.study.methods(cell.policy):
        strategy, method = cell.strategy(name), METHODS[name]
        if strategy is None:
            continue
        shown = {
            "method": name,
            "scoring": strategy.scoring,
            "vote": strategy.vote,
            "prm": (cell.prm or NONE) if method.needs_prm else NONE,
            "budget": 1 if method.kind == "greedy" else cell.budget,
        }
        found.append(own[(own[list(shown)] == pd.Series(shown)).all(axis=1)])
    return pd.concat(found) if found else own.iloc[:0]


def _answers(
    cell: ReportCell, expected: pd.Series, choices: Mapping[str, Sequence[Solution]]
) -> Iterator[Answer]:
    """What each method answers from the very paths that are kept."""
    greedy = cell.study.catalog.policy(cell.policy).cot_samples is None
    for method in methods_in_order(expected.index):
        if method not in choices:
            continue
        strategy = cell.strategy(method)
        scoring, how = strategy.scoring, strategy.vote
        text = " + ".join(part for part in (scoring, how) if part != NONE)
        yield Answer(
            method=method,
            how=text or ("greedy" if greedy else "its first sample"),
            answers=tuple(vote(choices[method], MAJORITY if how == NONE else how)),
            expected=None if pd.isna(expected[method]) else float(expected[method]),
        )
