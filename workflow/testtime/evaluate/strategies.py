"""What a strategy achieves and costs per problem, and how an answer is chosen."""

from dataclasses import dataclass

import numpy as np

from testtime.evaluate.best_of_k import best_of_k
from testtime.evaluate.pool import Pool
from testtime.evaluate.votes import majority_vote, weighted_vote
from testtime.study.types import Strategy


@dataclass(frozen=True)
class Outcome:
    """One strategy with one PRM at one budget, on every problem.

    Attributes:
        problem_ids: array (n_problems,).
        correct: expected correctness, 0 to 1.
        policy_tokens: expected tokens generated.
        prm_tokens: expected tokens that the PRM reads.
        error: Monte-Carlo standard error of `correct`, 0 where it is exact.
    """

    strategy: Strategy
    prm: str
    budget: int
    problem_ids: np.ndarray
    correct: np.ndarray
    policy_tokens: np.ndarray
    prm_tokens: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class Draws:
    """How random subsets are drawn where no formula serves: how many, and a seed per problem."""

    subsets: int
    seeds: np.ndarray


def choose(
    pool: Pool, weights: np.ndarray, k: int, vote: str, draws: Draws
) -> tuple[np.ndarray, np.ndarray]:
    """Expected correctness, and its error, of choosing among k units by their weights.

    A unit without an answer is chosen only where no other was drawn, and then it is wrong.

    Args:
        pool: the units.
        weights: array (n_problems, n, n_weightings).
        k: units drawn.
        vote: "max" or "weighted".
        draws: for weighted votes at k < n.

    Returns:
        Two arrays (n_problems, n_weightings).
    """
    if vote == "weighted":
        return weighted_vote(
            pool.classes, pool.correct, weights, k, subsets=draws.subsets, seeds=draws.seeds
        )
    answered = np.where(pool.classes[..., None] >= 0, weights, -np.inf)
    best = best_of_k(np.where(pool.classes >= 0, pool.correct, 0.0), answered, k)
    return best, np.zeros_like(best)


def vote_majority(pool: Pool, k: int, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Expected correctness, and its error, of the most frequent answer among k units."""
    return majority_vote(pool.classes, pool.correct, k, subsets=draws.subsets, seeds=draws.seeds)
