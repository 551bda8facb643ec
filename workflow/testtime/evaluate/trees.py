"""Strategies whose paths come from a tree search.

A tree run for one budget (beam search) is one draw: its paths vote once. A nested search (DVTS) is
a pool of S independent subtrees: the result at budget N is the expectation over all subsets of
N/M of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.costs import drawn_tokens, token_counts
from testtime.evaluate.pool import Pool, correctness, make_pool
from testtime.evaluate.scoring import path_scores
from testtime.evaluate.strategies import Draws, Outcome, choose, vote_majority
from testtime.study.types import Strategy

TREE_TOKENS = ("tree_policy_tokens", "tree_prm_tokens")
NESTED = 0  # the budget that rows of a nested search carry


def tree_outcomes(
    searches: pd.DataFrame,
    grades: pd.DataFrame,
    *,
    problem_ids: np.ndarray,
    methods: Sequence[str],
    budgets: Sequence[int],
    beam_width: int,
    scorings: Sequence[str],
    votes: Sequence[str],
    draws: Draws,
) -> Iterator[Outcome]:
    """Every tree strategy with every PRM at every budget.

    Args:
        searches: one row per path, with columns prm, method and budget (0 for a nested search).
        grades: the same paths' grades; `path` is the subtree of a nested search.
        problem_ids: sorted; every search must cover them all.
        methods: names of the searches to evaluate.
        budgets: N, multiples of beam_width.
        beam_width: M, so that a nested search at N has N/M subtrees.
        scorings: among min, last, avg.
        votes: among majority, max, weighted.
        draws: for votes over random subsets of subtrees.

    Raises:
        UserError: a budget or a problem was not searched.
    """
    kept = searches[searches["method"].isin(methods)]
    for (method, prm), rows in kept.groupby(["method", "prm"], sort=True):
        graded = grades[(grades["method"] == method) & (grades["prm"] == prm)]
        for budget in budgets:
            what = f"{method} with {prm} at N={budget}"
            if (rows["budget"] == NESTED).all():
                forest = _subtrees(rows, graded, budget // beam_width, scorings, what)
            else:
                at_budget = graded[graded["budget"] == budget]
                forest = _tree(rows[rows["budget"] == budget], at_budget, scorings, what)
            if not np.array_equal(forest.pool.problem_ids, problem_ids):
                raise UserError(
                    f"{what}: {len(forest.pool.problem_ids)} problems were searched; allowed: the "
                    f"{len(problem_ids)} that were sampled; run the search"
                )
            for strategy, correct, error in _choices(forest, method, scorings, votes, draws):
                yield Outcome(
                    strategy,
                    prm,
                    budget,
                    problem_ids,
                    correct,
                    forest.policy_tokens,
                    forest.prm_tokens,
                    error,
                )


@dataclass(frozen=True)
class _Forest:
    """Paths to choose among: k of the pool's units, with their scores (n_problems, n, scorings)."""

    pool: Pool
    scores: np.ndarray
    k: int
    policy_tokens: np.ndarray
    prm_tokens: np.ndarray


def _subtrees(
    rows: pd.DataFrame, grades: pd.DataFrame, k: int, scorings: Sequence[str], what: str
) -> _Forest:
    pool = make_pool(rows, "subtree", grades, what)
    if k > pool.n:
        raise UserError(f"{what}: {k} subtrees are needed, {pool.n} were searched; run the search")
    scores = pool.spread(path_scores(rows["scores"].to_numpy(), scorings, what))
    costs = [drawn_tokens(pool.spread(token_counts(rows[column])), k) for column in TREE_TOKENS]
    return _Forest(pool, scores, k, *costs)


def _tree(rows: pd.DataFrame, grades: pd.DataFrame, scorings: Sequence[str], what: str) -> _Forest:
    """Trees end in different numbers of paths; the shorter rows are filled up with no answers."""
    keys = ["problem_id", "path"]
    rows = rows.sort_values(keys, kind="stable")
    graded = rows[keys].merge(
        grades[[*keys, "answer_class", "correct"]], on=keys, how="left", validate="one_to_one"
    )
    if graded["answer_class"].isna().any():
        raise UserError(f"{what}: paths without a grade; run the grading again")
    codes, problem_ids = pd.factorize(rows["problem_id"].to_numpy(), sort=True)
    place = rows.groupby("problem_id").cumcount().to_numpy()
    shape = (len(problem_ids), int(place.max(initial=0)) + 1)
    classes, correct = np.full(shape, -1), np.zeros(shape)
    scores = np.zeros((*shape, len(scorings)))
    classes[codes, place] = graded["answer_class"]
    correct[codes, place] = correctness(graded)
    scores[codes, place] = path_scores(rows["scores"].to_numpy(), scorings, what)
    costs = rows.groupby("problem_id", sort=True)[list(TREE_TOKENS)].first()
    pool = Pool(problem_ids, np.zeros(shape, dtype=int), classes, correct)
    return _Forest(pool, scores, shape[1], *costs.to_numpy(dtype=float).T)


def _choices(
    forest: _Forest, method: str, scorings: Sequence[str], votes: Sequence[str], draws: Draws
) -> Iterator[tuple[Strategy, np.ndarray, np.ndarray]]:
    if "majority" in votes:
        yield Strategy(method, vote="majority"), *vote_majority(forest.pool, forest.k, draws)
    for vote in [name for name in votes if name != "majority"]:
        correct, error = choose(forest.pool, forest.scores, forest.k, vote, draws)
        for column, scoring in enumerate(scorings):
            yield Strategy(method, scoring, vote), correct[:, column], error[:, column]
