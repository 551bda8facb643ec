"""A few problems' samples and searches, read back from the results folder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from testtime.evaluate.scoring import path_scores
from testtime.present.report.trees import Branch, fold

MOST_PATHS = 16  # of one search; more would fill the page and show nothing new


@dataclass(frozen=True)
class Solution:
    """One path: its steps with their scores (None without a PRM), answer and grade.

    Attributes:
        score: the path's, by the scoring shown; None without one.
        correct: None where grading could not decide.
        group: answers of equal group are the same answer; -1 without an answer.
    """

    index: int
    steps: tuple[tuple[str, float | None], ...]
    tokens: int | None
    finish: str
    answer: str
    group: int
    correct: bool | None
    score: float | None = None


@dataclass(frozen=True)
class Search:
    """One method's finished paths of a problem, the first folded into one tree per subtree."""

    method: str
    budget: int
    solutions: tuple[Solution, ...]
    trees: tuple[Branch, ...]
    shown: int
    policy_tokens: int
    prm_tokens: int


def read_problems(folder: Path, blocks: Sequence[str], ids: Sequence[str]) -> pd.DataFrame:
    """The rows of some problems from all shards of some blocks; each sample once."""
    frames = []
    for block in blocks:
        for path in sorted((folder / block).glob("*.parquet")):
            table = pq.read_table(path, filters=[("problem_id", "in", list(ids))])
            frames.append(table.to_pandas())
    if not frames:
        return pd.DataFrame()
    rows = pd.concat(frames, ignore_index=True)
    keys = [k for k in ("problem_id", "sample", "subtree", "path") if k in rows]
    return rows.drop_duplicates(keys).sort_values(keys, kind="stable", ignore_index=True)


def solutions(rows: pd.DataFrame, grades: pd.DataFrame, index: str, scoring: str) -> list[Solution]:
    """Join one problem's paths with their grades.

    Args:
        rows: steps, tokens, finish, scores (where there are any) and the column `index`.
        grades: path, answer, answer_class, correct of the same problem and method.
        index: column of `rows` that the grades call path.
        scoring: how step scores become the path's score.
    """
    graded = grades.drop_duplicates("path").set_index("path")
    found = []
    for row in rows.to_dict("records"):
        grade = graded.loc[row[index]] if row[index] in graded.index else None
        scores = row.get("scores")
        scores = [] if scores is None or isinstance(scores, float) else list(map(float, scores))
        steps = list(map(str, row["steps"]))
        padded = [*scores, *[None] * (len(steps) - len(scores))][: len(steps)]
        found.append(
            Solution(
                index=int(row[index]),
                steps=tuple(zip(steps, padded, strict=True)),
                tokens=None if pd.isna(row["tokens"]) else int(row["tokens"]),
                finish=str(row["finish"]),
                answer="" if grade is None else str(grade["answer"]),
                group=-1 if grade is None else int(grade["answer_class"]),
                correct=None
                if grade is None or pd.isna(grade["correct"])
                else bool(grade["correct"]),
                score=float(path_scores([scores], [scoring])[0, 0]) if scores else None,
            )
        )
    return found


def as_search(
    method: str,
    budget: int,
    rows: pd.DataFrame,
    grades: pd.DataFrame,
    scoring: str,
    *,
    nested: bool,
) -> Search:
    """One problem's search; subtrees of a nested one stay apart, MOST_PATHS are folded."""
    paths = solutions(rows, grades, "subtree" if nested else "path", scoring)
    places = list(rows["subtree"])[:MOST_PATHS]
    trees = []
    for subtree in dict.fromkeys(places):
        chosen = [i for i, place in enumerate(places) if place == subtree]
        tree = fold([paths[i].steps for i in chosen])
        trees.append(_renumber(tree, chosen))
    once = rows.drop_duplicates("subtree")
    return Search(
        method=method,
        budget=budget,
        solutions=tuple(paths),
        trees=tuple(trees),
        shown=len(places),
        policy_tokens=int(once["tree_policy_tokens"].sum()),
        prm_tokens=int(once["tree_prm_tokens"].sum()),
    )


def vote(paths: Sequence[Solution], how: str) -> list[Solution]:
    """The first path of each answer that wins; several where answers tie, none without a vote.

    Args:
        paths: with scores, unless `how` is "majority".
        how: "majority", "max" or "weighted".
    """
    tally: dict[int, float] = {}
    first: dict[int, Solution] = {}
    for path in paths:
        if path.group < 0:
            continue
        weight = 1.0 if how == "majority" else (path.score or 0.0)
        first.setdefault(path.group, path)
        held = tally.get(path.group, 0.0)
        tally[path.group] = max(held, weight) if how == "max" else held + weight
    if not tally:
        return []
    most = max(tally.values())
    return [first[g] for g, total in tally.items() if math.isclose(total, most, rel_tol=1e-9)]


def _renumber(tree: Branch, indices: list[int]) -> Branch:
    return Branch(
        tree.steps,
        [indices[i] for i in tree.paths],
        [_renumber(branch, indices) for branch in tree.branches],
    )
