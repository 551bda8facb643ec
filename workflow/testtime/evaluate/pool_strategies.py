"""Strategies that choose among samples of a pool: CoT, majority, confidence, best-of-N."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.confidence import confidence, confidence_scorings, has_confidence
from testtime.evaluate.costs import distinct_tokens, drawn_tokens, text_groups, token_counts
from testtime.evaluate.pool import Pool, align
from testtime.evaluate.scoring import path_scores
from testtime.evaluate.strategies import Draws, Outcome, choose, vote_majority
from testtime.study.types import Strategy


def cot_outcome(pool: Pool, samples: pd.DataFrame) -> Outcome:
    """The greedy sample."""
    nothing = np.zeros(len(pool.problem_ids))
    tokens = pool.spread(token_counts(samples["tokens"]))[:, 0]
    correct = pool.correct[:, 0]
    return Outcome(Strategy("cot"), "none", 1, pool.problem_ids, correct, tokens, nothing, nothing)


@dataclass(frozen=True)
class Weighting:
    """Weights of a pool's samples by one PRM, or by the policy's confidence.

    Attributes:
        weights: array (n_problems, n).
        prm_tokens: array (n_problems, n), tokens of each sample as the PRM reads it.
    """

    method: str
    prm: str
    scoring: str
    weights: np.ndarray
    prm_tokens: np.ndarray


def pool_outcomes(
    pool: Pool,
    samples: pd.DataFrame,
    weightings: Sequence[Weighting],
    *,
    majority: bool,
    budgets: Sequence[int],
    votes: Sequence[str],
    draws: Draws,
) -> Iterator[Outcome]:
    """Every strategy that draws k samples and chooses among them, for every k in `budgets`.

    Raises:
        UserError: a budget is larger than the pool.
    """
    tokens = pool.spread(token_counts(samples["tokens"]))
    groups = text_groups(pool.spread(samples["text"].to_numpy()))
    weights = np.stack([w.weights for w in weightings], axis=2) if weightings else None
    nothing = np.zeros(len(pool.problem_ids))
    for k in budgets:
        if k > pool.n:
            raise UserError(
                f"config budgets.pool: {k} is more than the {pool.n} samples per problem; "
                f"allowed: 1 to {pool.n}"
            )
        cost = drawn_tokens(tokens, k)
        if majority:
            correct, error = vote_majority(pool, k, draws)
            strategy = Strategy("majority", vote="majority")
            yield Outcome(strategy, "none", k, pool.problem_ids, correct, cost, nothing, error)
        for vote in [name for name in votes if name != "majority" and weightings]:
            correct, error = choose(pool, weights, k, vote, draws)
            for column, w in enumerate(weightings):
                read = distinct_tokens(w.prm_tokens, groups, k)
                strategy = Strategy(w.method, w.scoring, vote)
                yield Outcome(
                    strategy, w.prm, k, pool.problem_ids,
                    correct[:, column], cost, read, error[:, column],
                )  # fmt: skip


def prm_weightings(
    pool: Pool, scores: pd.DataFrame, scorings: Sequence[str]
) -> Iterator[Weighting]:
    """Best-of-N weights: path scores of every PRM in `scores`."""
    for prm, rows in scores.groupby("prm", sort=True):
        order = align(pool.problem_ids, pool.n, rows, "sample", f"scores of {prm}")
        by_scoring = path_scores(rows["scores"].to_numpy(), scorings, f"scores of {prm}")[order]
        read = token_counts(rows["prm_tokens"])[order]
        for column, scoring in enumerate(scorings):
            yield Weighting("best_of_n", prm, scoring, by_scoring[..., column], read)


def confidence_weightings(
    pool: Pool, samples: pd.DataFrame, scorings: Sequence[str]
) -> Iterator[Weighting]:
    """Weights by the policy's own confidence; none where samples have no log-probabilities."""
    if not has_confidence(samples):
        return
    names = confidence_scorings(scorings)
    by_scoring = pool.spread(confidence(samples, names))
    for column, scoring in enumerate(names):
        yield Weighting(
            "confidence", "none", scoring, by_scoring[..., column], np.zeros(pool.rows.shape)
        )
