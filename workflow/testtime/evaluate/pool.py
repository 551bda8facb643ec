"""What draws are made from: a policy's samples, or a search's paths, as matrices over problems."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.study.speed import Depth

if TYPE_CHECKING:
    from testtime.study.methods import Method


@dataclass(frozen=True)
class Pool:
    """The units of a nested pool: samples, or subtrees of a nested search.

    Attributes:
        problem_ids: array (n_problems,), sorted.
        rows: array (n_problems, n): the row of each unit in its frame.
        classes: array (n_problems, n) of answer classes, -1 without an answer; or (n_problems, n,
            n_voters) where several paths of a unit vote.
        correct: array of the same shape, 0 or 1; undecided counts as 0.
    """

    problem_ids: np.ndarray
    rows: np.ndarray
    classes: np.ndarray
    correct: np.ndarray

    @property
    def n(self) -> int:
        """Units per problem."""
        return self.rows.shape[1]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values per row of the frame, (n_rows, ...), as (n_problems, n, ...)."""
        return np.asarray(values)[self.rows]


@dataclass(frozen=True)
class Samples:
    """The pool as a rule reads it (`evaluate.rules`), arrays (n_problems, n).

    Attributes:
        classes: of their answers, -1 without an answer.
        correct: 0 or 1.
        tokens: of each, NaN where unknown.
        thought_tokens: of each one's thought; all of its tokens where the policy does not think.
        forced: whether its thought was cut and its answer forced; None where that is not known.
        scores: array (n_problems, n, n_scorings), None for a rule that reads none.
        prompt: tokens of each problem, (n_problems,).
        steps: of each, see `rules.Drawn`, array of objects; None where they are not known.
    """

    classes: np.ndarray
    correct: np.ndarray
    tokens: np.ndarray
    thought_tokens: np.ndarray
    forced: np.ndarray | None
    prompt: np.ndarray
    scores: np.ndarray | None = None
    steps: np.ndarray | None = None


@dataclass(frozen=True)
class Weighting:
    """How one method, with one PRM or none, weights a draw, and what it costs.

    Attributes:
        weights: array (*classes.shape, n_scorings), by the scorings that the method has; for a
            rule, the scores that it reads, None if it reads none.
        costs: column of the outcomes -> expectation, array (n_problems,).
    """

    method: "Method"
    prm: str
    weights: np.ndarray | None
    costs: dict[str, np.ndarray]


@dataclass(frozen=True)
class Draw:
    """k units of a pool, at a budget, and all weightings that choose among them.

    Attributes:
        thinking: T of its samples, 0 where the policy does not think.
        pruned: whether finished candidates that a search pruned vote too: for ALL_VOTES alone.
        depth: of a run that draws them at once; a rule that stops has its own.
        runs: for whole searches, the number of independent ones of each problem, which are rows of
            the pool one after the other; 0 for draws from a pool.
        samples: the pool as rules read it; None where there are no rules.
    """

    pool: Pool
    k: int
    budget: int
    weightings: list[Weighting]
    depth: Depth
    runs: int = 0
    thinking: int = 0
    samples: Samples | None = None
    pruned: bool = False


def make_pool(units: pd.DataFrame, index: str, grades: pd.DataFrame, what: str) -> Pool:
    """Lay out units and their grades.

    Args:
        units: one row per unit, with problem_id and the integer column `index`.
        index: name of that column.
        grades: problem_id, path (the same index), answer_class, correct.
        what: name for messages.

    Raises:
        UserError: a unit is missing, occurs twice, or has no grade; names problem and unit.
    """
    problem_ids, rows = _rectangle(units["problem_id"], units[index], what)
    graded = grades[grades["problem_id"].isin(problem_ids) & (grades["path"] < rows.shape[1])]
    grade_rows = align(problem_ids, rows.shape[1], graded, "path", f"grades of {what}")
    classes = graded["answer_class"].to_numpy(dtype=np.int64)[grade_rows]
    return Pool(problem_ids, rows, classes, correctness(graded)[grade_rows])


def align(
    problem_ids: np.ndarray, n: int, frame: pd.DataFrame, index: str, what: str
) -> np.ndarray:
    """Rows of another frame about the same units, in a pool's layout (n_problems, n).

    Raises:
        UserError: the frame is not about these n units of these problems.
    """
    found_ids, rows = _rectangle(frame["problem_id"], frame[index], what)
    if rows.shape[1] != n or not np.array_equal(found_ids, problem_ids):
        raise UserError(
            f"{what}: {rows.shape[1]} for each of {len(rows)} problems; allowed: {n} for each of "
            f"the {len(problem_ids)} problems that were sampled"
        )
    return rows


def correctness(grades: pd.DataFrame) -> np.ndarray:
    """1.0 where correct, 0.0 where wrong or undecided."""
    return grades["correct"].astype("boolean").fillna(False).to_numpy(dtype=float)


def _rectangle(problems: pd.Series, indices: pd.Series, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Sorted problems and, per problem, the rows of its units 0..n-1."""
    codes, problem_ids = pd.factorize(problems.to_numpy(), sort=True)
    indices = indices.to_numpy(dtype=np.int64)
    n = int(indices.max(initial=-1)) + 1
    places = codes * n + indices
    counts = np.bincount(places, minlength=len(problem_ids) * n)
    if (counts != 1).any():
        first = int(np.flatnonzero(counts != 1)[0])
        times = "occurs twice" if counts[first] else "is missing"
        raise UserError(
            f"{what}: number {first % n} of problem {problem_ids[first // n]} {times}; "
            f"allowed: each problem has each of 0 to {n - 1} once"
        )
    return problem_ids, np.argsort(places, kind="stable").reshape(len(problem_ids), n)
