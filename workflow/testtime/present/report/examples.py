"""Problems on which methods disagree, with every path and each method's answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from testtime.data.store import read_parquet
from testtime.present.figures.looks import look, methods_in_order
from testtime.present.report.paths import ReportCell, Search, Solution, vote
from testtime.study.methods import METHODS
from testtime.study.vocabulary import COT, MAJORITY, NONE

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


def examples(results: Path, config: dict, prm: str | None, policies: list[str]) -> list[Example]:
    """Up to three problems per dataset and policy, at the budget that the figures show.

    Args:
        results: folder.
        config: the study.
        prm: the PRM whose scores are shown, None without one.
        policies: by size; of many, CELLS are shown, including the smallest and the largest.
    """
    columns = ["dataset", "policy", "prm", "method", "scoring", "vote", "budget"]
    outcomes = read_parquet(
        results / "tables/outcomes.parquet", columns=[*columns, "problem_id", "correct"]
    )
    picked = np.unique(np.linspace(0, len(policies) - 1, min(CELLS, len(policies))).round())
    found = []
    for dataset in config["datasets"]:
        for policy in [policies[int(i)] for i in picked]:
            cell = outcomes[(outcomes["dataset"] == dataset) & (outcomes["policy"] == policy)]
            found += _examples(ReportCell(results, config, dataset, policy, prm), cell)
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
    strategies = _strategies(outcomes, cell)
    if strategies.empty:
        return
    wide = strategies.pivot_table(index="problem_id", columns="method", values="correct")
    chosen = dict(interesting(wide))
    if not chosen:
        return
    problems, golds = cell.problems(list(chosen))
    drawn, searched = cell.solutions(list(chosen)), cell.searches(list(chosen))
    for problem_id, why in chosen.items():
        greedy, pool = drawn[problem_id]
        searches = searched[problem_id]
        expected = wide.loc[problem_id]
        yield Example(
            dataset=cell.dataset,
            policy=cell.policy,
            prm=cell.prm,
            problem_id=problem_id,
            problem=problems[problem_id],
            gold=golds[problem_id],
            why=why,
            budget=cell.budget,
            answers=tuple(_answers(strategies, expected, greedy, pool[: cell.budget], searches)),
            samples=(*greedy, *pool[:SAMPLES]),
            searches=tuple(searches),
        )


def _strategies(outcomes: pd.DataFrame, cell: ReportCell) -> pd.DataFrame:
    """One strategy per method: CoT, and the others at the budget, by the scoring and vote shown."""
    at = (outcomes["method"] == COT) | (outcomes["budget"] == cell.budget)
    plain = outcomes["method"].isin([COT, MAJORITY])
    shown = (outcomes["scoring"] == cell.scoring) & (outcomes["vote"] == cell.vote)
    return outcomes[at & (plain | (shown & (outcomes["prm"] == (cell.prm or NONE))))]


def _answers(
    strategies: pd.DataFrame,
    expected: pd.Series,
    greedy: list[Solution],
    pool: list[Solution],
    searches: list[Search],
) -> Iterator[Answer]:
    """Each method's answers from the paths that are kept."""
    found = {search.method: search.solutions for search in searches}
    found |= {COT: greedy, MAJORITY: pool, "best_of_n": pool}
    pairs = strategies.drop_duplicates("method").set_index("method")[["scoring", "vote"]]
    for method in methods_in_order(expected.index):
        if method not in found:
            continue
        scoring, how = pairs.loc[method]
        text = " + ".join(part for part in (scoring, how) if part != NONE)
        yield Answer(
            method=method,
            how=text or "greedy",
            answers=tuple(vote(found[method], MAJORITY if how == NONE else how)),
            expected=None if pd.isna(expected[method]) else float(expected[method]),
        )
