"""What was drawn for some problems of one (dataset, policy), read back under one PRM."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from testtime.data.store import read_parquet
from testtime.present.figures import headline_budget
from testtime.present.report.paths import Search, Solution, as_search, read_problems, solutions
from testtime.study.blocks import COT, nested_blocks
from testtime.study.methods import METHODS


@dataclass(frozen=True)
class ReportCell:
    """Where one cell's files lie and which budget, scoring and vote are shown of it."""

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
        return [budget for budget, there in zip(budgets, drawn, strict=True) if there]

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
                own = rows[rows["problem_id"] == problem_id] if len(rows) else rows
                if len(own):
                    graded = known[known["problem_id"] == problem_id]
                    found[problem_id].append(
                        as_search(method, self.budget, own, graded, self.scoring, nested=nested)
                    )
        return found

    def _of(
        self, rows: pd.DataFrame, grades: pd.DataFrame, problem_id: str, method: str
    ) -> list[Solution]:
        if rows.empty:
            return []
        graded = grades[(grades["problem_id"] == problem_id) & (grades["method"] == method)]
        own = rows[rows["problem_id"] == problem_id]
        return solutions(own, graded, "sample", self.scoring)
