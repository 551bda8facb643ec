"""What was drawn for some problems of one (dataset, policy), read back from its files."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from testtime.data.samples import whole_thoughts
from testtime.data.store import read_parquet
from testtime.evaluate.scoring import path_scores, weigh
from testtime.evaluate.votes import tally
from testtime.study.blocks import COT, headline_budget, nested_blocks
from testtime.study.layout import identify
from testtime.study.methods import METHODS
from testtime.study.study import Study
from testtime.study.types import Strategy

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
class Drawn:
    """What a policy drew for one problem without a search.

    Attributes:
        chains: samples of CoT, if the policy has them.
        pool: all samples of the pool, with the PRM's scores where there are any.
        choices: method -> the paths that it chooses among at the budget shown, each with what the
            method weighs it by as its score.
    """

    chains: list[Solution]
    pool: list[Solution]
    choices: dict[str, list[Solution]]


@dataclass(frozen=True)
class ReportCell:
    """A study's (dataset, policy) and PRM, whose files are read back at the budget shown."""

    study: Study
    dataset: str
    policy: str
    prm: str | None

    @property
    def budget(self) -> int:
        """N of the methods shown."""
        pool = self.study.pool_budgets(self.policy)
        return headline_budget(self.study.config["budgets"] | {"pool": pool})

    def strategy(self, method: str) -> Strategy | None:
        """How the method chooses an answer by the scoring and vote shown; None where it cannot.

        Rules, which are variants of the votes shown, are not shown.
        """
        known, shown = METHODS[method], self.study.config["figures"]
        if known.rule:
            return None
        own = known.scorings_of(self.study.config["scorings"])
        scoring = shown["scoring"] if shown["scoring"] in own else own[0]
        found = known.strategies([scoring], [shown["vote"]])
        return found[0] if found else None

    def problems(self, ids: list[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Text and right answer of problems, by id."""
        found = []
        for kind, column in (("problems", "problem"), ("answers", "answer")):
            path = self.study.layout.path(kind, dataset=self.dataset)
            texts = read_problems([path], ids).set_index("problem_id")[column]
            found.append({problem_id: str(texts[problem_id]) for problem_id in ids})
        return found[0], found[1]

    def grades(self, ids: list[str]) -> pd.DataFrame:
        """Grades of the problems' samples and paths."""
        path = self.study.layout.path("grades", dataset=self.dataset, policy=self.policy)
        return whole_thoughts(read_parquet(path, filters=[("problem_id", "in", ids)]))

    def solutions(self, ids: list[str]) -> dict[str, Drawn]:
        """CoT and the pool of each problem, and what each method makes of them."""
        study, cell = self.study, (self.dataset, self.policy)
        blocks = study.pool_blocks(self.policy)
        cot = [COT] if COT in study.methods(self.policy) else []
        chains = whole_thoughts(read_problems(study.samples(*cell, cot), ids))
        pool = whole_thoughts(read_problems(study.samples(*cell, blocks), ids))
        read = [path for path in study.step_scores(*cell, blocks) if prm_of(path) == self.prm]
        if read:
            keys = ["problem_id", "sample"]
            scores = whole_thoughts(read_problems(read, ids))[[*keys, "scores"]]
            pool = pool.merge(scores, on=keys, how="left")
        grades = self.grades(ids)
        found = {}
        for problem_id in ids:
            own = pool[pool["problem_id"] == problem_id]
            first = self._of(chains, grades, problem_id, COT)
            samples = self._of(own, grades, problem_id, "pool")
            choices = {COT: first[:1]} if cot else {}
            choices |= self._weighed(own.head(self.budget), samples)
            found[problem_id] = Drawn(first, samples, choices)
        return found

    def searches(self, ids: list[str]) -> dict[str, list[Search]]:
        """Every tree search of each problem at the budget shown."""
        study, found = self.study, {problem_id: [] for problem_id in ids}
        budgets = study.budgets("search", self.policy)
        if self.prm is None or self.budget not in budgets:
            return found
        grades = self.grades(ids)
        grades = grades[grades["prm"] == self.prm]
        for method in study.search_methods(self.policy):
            nested = METHODS[method].nested
            up_to = [n for n in budgets if n <= self.budget]
            blocks = nested_blocks(up_to) if nested else [str(self.budget)]
            rows = read_problems(self._search_files(method, blocks), ids)
            if len(rows):
                rows = rows[rows["kept"]]
            if len(rows) and not nested:
                rows = rows[rows["subtree"] == 0]  # of several independent searches the first
            known = grades[grades["method"] == method]
            known = known[known["budget"] == (0 if nested else self.budget)]
            for problem_id in ids:
                drawn = rows[rows["problem_id"] == problem_id] if len(rows) else rows
                if len(drawn):
                    graded = known[known["problem_id"] == problem_id]
                    found[problem_id].append(
                        as_search(method, self.budget, drawn, graded, self._scoring, nested=nested)
                    )
        return found

    @property
    def _scoring(self) -> str:
        return self.study.config["figures"]["scoring"]

    def _search_files(self, method: str, blocks: Sequence[str]) -> list[str]:
        shown = {"prm": self.prm, "method": method}
        return [
            self.study.layout.path("searches", **search, shard=shard)
            for search in self.study.searches(self.dataset, self.policy)
            if shown.items() <= search.items() and search["block"] in blocks
            for shard in self.study.search_shards(self.dataset, self.policy, search["prm"])
        ]

    def _weighed(self, rows: pd.DataFrame, samples: list[Solution]) -> dict[str, list[Solution]]:
        """The first samples as each method of the pool weighs them; those methods that can."""
        found = {}
        for name in self.study.methods(self.policy):
            method, strategy = METHODS[name], self.strategy(name)
            unread = method.needs_prm and "scores" not in rows
            if method.kind != "pool" or strategy is None or unread:
                continue
            weights = weigh(method, rows, [strategy.scoring])
            if weights is not None:
                found[name] = [
                    replace(sample, score=float(weight))
                    for sample, weight in zip(samples, weights[:, 0], strict=False)
                ]
        return found

    def _of(
        self, rows: pd.DataFrame, grades: pd.DataFrame, problem_id: str, method: str
    ) -> list[Solution]:
        if rows.empty:
            return []
        graded = grades[(grades["problem_id"] == problem_id) & (grades["method"] == method)]
        own = rows[rows["problem_id"] == problem_id]
        return solutions(own, graded, "sample", self._scoring)


def prm_of(path: str) -> str:
    """The PRM whose scores a file holds."""
    _, names = identify(path)
    return names["prm"]


def read_problems(paths: Sequence[str], ids: Sequence[str]) -> pd.DataFrame:
    """The rows of some problems from some files, in the order of problems and samples."""
    rows = read_parquet(*paths, filters=[("problem_id", "in", list(ids))])
    keys = [k for k in ("problem_id", "sample", "subtree", "path") if k in rows]
    return rows.sort_values(keys, kind="stable", ignore_index=True) if keys else rows


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
