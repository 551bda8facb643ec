"""Paths of some problems of one (dataset, policy), read back from the results folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from testtime.data.store import read_parquet
from testtime.evaluate.scoring import path_scores
from testtime.evaluate.votes import tally
from testtime.study.blocks import COT, headline_budget, nested_blocks
from testtime.study.methods import METHODS

MOST_PATHS = 16  # most paths of one search; more would fill the page without showing anything new


@dataclass(frozen=True)
class Solution:
    """One path: its steps with their scores (None without a PRM), answer and grade.

    Attributes:
        score: the path's, by the scoring shown; None without one.
        correct: None if grading could not decide.
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


@dataclass
class Branch:
    """Consecutive steps that the same paths share, and what follows.

    Attributes:
        steps: pairs of a step's text and its score (None without one).
        paths: indices of the paths that end here.
        branches: where the paths diverge.
    """

    steps: list[tuple[str, float | None]] = field(default_factory=list)
    paths: list[int] = field(default_factory=list)
    branches: list["Branch"] = field(default_factory=list)


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


@dataclass(frozen=True)
class ReportCell:
    """Where one cell's files are, and the budget, scoring and vote that are shown."""

    results: Path
    config: dict
    dataset: str
    policy: str
    prm: str | None

    @property
    def budget(self) -> int:
        """N of the methods shown."""
        return headline_budget(self.config["budgets"] | {"pool": self.pool})

    @property
    def pool(self) -> list[int]:
        """The pool's budgets; a policy whose samples come from a file may lack the largest."""
        folder = self.results / f"generations/{self.dataset}/{self.policy}"
        budgets = self.config["budgets"]["pool"]
        drawn = [(folder / block).is_dir() for block in nested_blocks(budgets)]
        return [budget for budget, exists in zip(budgets, drawn, strict=True) if exists]

    @property
    def scoring(self) -> str:
        """How step scores become a path's score."""
        return self.config["figures"]["scoring"]

    @property
    def vote(self) -> str:
        """How an answer is chosen."""
        return self.config["figures"]["vote"]

    def problems(self, ids: list[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Text and right answer of problems, by id."""
        found = []
        for stage, column in (("problems", "problem"), ("answers", "answer")):
            rows = read_parquet(self.results / f"{stage}/{self.dataset}.parquet")
            texts = rows.set_index("problem_id")[column]
            found.append({problem_id: str(texts[problem_id]) for problem_id in ids})
        return found[0], found[1]

    def grades(self, ids: list[str]) -> pd.DataFrame:
        """Grades of the problems' samples and paths."""
        rows = read_parquet(self.results / f"grades/{self.dataset}/{self.policy}.parquet")
        return rows[rows["problem_id"].isin(ids)]

    def solutions(self, ids: list[str]) -> dict[str, tuple[list[Solution], list[Solution]]]:
        """Greedy CoT and the pool of each problem, the pool with the PRM's scores."""
        blocks = nested_blocks(self.pool)
        folder = self.results / f"generations/{self.dataset}/{self.policy}"
        greedy, pool = read_problems(folder, [COT], ids), read_problems(folder, blocks, ids)
        if self.prm is not None and len(pool):
            folder = self.results / f"scores/{self.dataset}/{self.policy}/{self.prm}"
            scores = read_problems(folder, blocks, ids)
            if len(scores):
                keys = ["problem_id", "sample"]
                pool = pool.merge(scores[[*keys, "scores"]], on=keys, how="left")
        grades = self.grades(ids)
        return {
            problem_id: (
                self._of(greedy, grades, problem_id, COT),
                self._of(pool, grades, problem_id, "pool"),
            )
            for problem_id in ids
        }

    def searches(self, ids: list[str]) -> dict[str, list[Search]]:
        """Every tree search of each problem at the budget shown."""
        budgets, found = self.config["budgets"]["search"], {problem_id: [] for problem_id in ids}
        if self.prm is None or self.budget not in budgets:
            return found
        grades = self.grades(ids)
        grades = grades[grades["prm"] == self.prm]
        for method in [m for m in self.config["methods"] if METHODS[m].kind == "search"]:
            nested = METHODS[method].nested
            up_to = [n for n in budgets if n <= self.budget]
            blocks = nested_blocks(up_to) if nested else [str(self.budget)]
            folder = self.results / f"searches/{self.dataset}/{self.policy}/{self.prm}/{method}"
            rows = read_problems(folder, blocks, ids)
            known = grades[grades["method"] == method]
            known = known[known["budget"] == (0 if nested else self.budget)]
            for problem_id in ids:
                drawn = rows[rows["problem_id"] == problem_id] if len(rows) else rows
                if len(drawn):
                    graded = known[known["problem_id"] == problem_id]
                    found[problem_id].append(
                        as_search(method, self.budget, drawn, graded, self.scoring, nested=nested)
                    )
        return found

    def _of(
        self, rows: pd.DataFrame, grades: pd.DataFrame, problem_id: str, method: str
    ) -> list[Solution]:
        if rows.empty:
            return []
        graded = grades[(grades["problem_id"] == problem_id) & (grades["method"] == method)]
        drawn = rows[rows["problem_id"] == problem_id]
        return solutions(drawn, graded, "sample", self.scoring)


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
    first: dict[int, Solution] = {}
    for path in paths:
        first.setdefault(path.group, path)
    groups, scores = [path.group for path in paths], [path.score or 0.0 for path in paths]
    return [first[group] for group in tally(groups, scores, how)]


def fold(paths: Sequence[Sequence[tuple[str, float | None]]]) -> Branch:
    """Fold paths, each a sequence of (step, score), into a tree of shared beginnings."""
    return _fold([(i, list(path)) for i, path in enumerate(paths)])


def _fold(paths: list[tuple[int, list[tuple[str, float | None]]]]) -> Branch:
    branch = Branch()
    while paths and all(steps for _, steps in paths):
        first = paths[0][1][0]
        if any(steps[0] != first for _, steps in paths):
            break
        branch.steps.append(first)
        paths = [(i, steps[1:]) for i, steps in paths]
    branch.paths = [i for i, steps in paths if not steps]
    groups: dict[tuple[str, float | None], list] = {}
    for i, steps in paths:
        if steps:
            groups.setdefault(steps[0], []).append((i, steps))
    branch.branches = [_fold(group) for group in groups.values()]
    return branch


def _renumber(tree: Branch, indices: list[int]) -> Branch:
    return Branch(
        tree.steps,
        [indices[i] for i in tree.paths],
        [_renumber(branch, indices) for branch in tree.branches],
    )
