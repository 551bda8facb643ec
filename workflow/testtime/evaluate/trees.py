"""Draws of tree searches.

A tree run for one budget (beam search) is one draw: its paths vote once, in each of the study's
independent runs. A nested search (DVTS) is a pool of S independent subtrees: the result at budget N
is the expectation over all subsets of N/M of them.

A search with beams has a second draw of the same trees, in which every finished candidate votes,
kept or pruned, once, whatever the step at which it ended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.costs import drawn_tokens, token_counts
from testtime.evaluate.depth import TREE_DEPTH, subtrees_at_once, with_tree_depth
from testtime.evaluate.pool import Draw, Pool, Weighting, correctness, make_pool
from testtime.evaluate.scoring import path_scores
from testtime.study.methods import METHODS
from testtime.study.speed import Depth
from testtime.study.vocabulary import ALL_VOTES

# Cost of a whole tree, on each of its rows -> column of the outcomes.
TREE_COSTS = {"tree_policy_tokens": "policy_tokens", "tree_prm_tokens": "prm_tokens"}
NESTED = 0  # the budget that rows of a nested search carry


def tree_draws(
    searches: pd.DataFrame,
    grades: pd.DataFrame,
    *,
    problem_ids: np.ndarray,
    methods: Sequence[str],
    scorings: Sequence[str],
    votes: Sequence[str],
    budgets: Sequence[int],
    beam_width: int,
) -> Iterator[Draw]:
    """Draws of every search with every PRM at every budget.

    Args:
        searches: one row per path and pruned candidate, with columns prm, method and budget (0 for
            a nested search); numbered as by `data.samples.read_searches`.
        grades: of the same rows.
        problem_ids: sorted; every search must cover them all.
        methods: those of other kinds are ignored.
        scorings: of the study.
        votes: of the study.
        budgets: N, multiples of beam_width.
        beam_width: M, so that a nested search at N has N/M subtrees.

    Raises:
        UserError: a budget or a problem was not searched.
    """
    wanted = [name for name in methods if METHODS[name].kind == "search"]
    found = with_tree_depth(searches[searches["method"].isin(wanted)])
    for (name, prm), rows in found.groupby(["method", "prm"], sort=True):
        method, graded = METHODS[name], grades[(grades["method"] == name) & (grades["prm"] == prm)]
        available = method.scorings_of(scorings)
        shown = (False, True) if method.beams and ALL_VOTES.keys() & votes else (False,)
        for budget, pruned in product(budgets, shown):
            what, runs = f"{name} with {prm} at N={budget}", 0
            voting = rows if pruned else rows[rows["kept"]]
            if (rows["budget"] == NESTED).all():
                k, lay_out = budget // beam_width, _candidates if pruned else _subtrees
                pool, weights, costs, depth = lay_out(voting, graded, k, available, what)
            else:
                at_budget = graded[graded["budget"] == budget]
                pool, weights, costs, depth = _trees(
                    voting[voting["budget"] == budget], at_budget, available, what
                )
                k, runs = pool.n, len(pool.rows) // max(len(pool.problem_ids), 1)
            if not np.array_equal(pool.problem_ids, problem_ids):
                raise UserError(
                    f"{what}: {len(pool.problem_ids)} problems were searched; allowed: the "
                    f"{len(problem_ids)} that were sampled; run the search"
                )
            weighting = Weighting(method, prm, weights, costs)
            yield Draw(pool, k, budget, [weighting], depth, runs, pruned=pruned)


Paths = tuple[Pool, np.ndarray, dict[str, np.ndarray], Depth]  # with their weights and costs


def _subtrees(
    rows: pd.DataFrame, grades: pd.DataFrame, k: int, scorings: Sequence[str], what: str
) -> Paths:
    pool = make_pool(rows, "subtree", grades, what)
    if k > pool.n:
        raise UserError(f"{what}: {k} subtrees are needed, {pool.n} were searched; run the search")
    scores = pool.spread(path_scores(rows["scores"].to_numpy(), scorings, what))
    costs = {
        name: drawn_tokens(pool.spread(token_counts(rows[column])), k)
        for column, name in TREE_COSTS.items()
    }
    depth = {name: pool.spread(rows[name].to_numpy(dtype=float)) for name in TREE_DEPTH}
    return pool, scores, costs, subtrees_at_once(depth, k)


def _candidates(
    rows: pd.DataFrame, grades: pd.DataFrame, k: int, scorings: Sequence[str], what: str
) -> Paths:
    """Subtrees with all their finished candidates, padded with "no answer"."""
    kept = rows[rows["kept"]]
    pool, _, costs, depth = _subtrees(kept, grades, k, scorings, what)
    graded = _graded(rows, grades, what)
    codes = np.searchsorted(pool.problem_ids, rows["problem_id"].to_numpy(dtype=object))
    units = rows["subtree"].to_numpy()
    place = rows.groupby(["problem_id", "subtree"], sort=False).cumcount().to_numpy()
    at = codes, units, place
    shape = (*pool.rows.shape, int(place.max(initial=0)) + 1)
    return (
        replace(pool, **_spread(graded, at, shape)),
        _spread_scores(rows, at, shape, scorings, what),
        costs,
        depth,
    )


def _trees(rows: pd.DataFrame, grades: pd.DataFrame, scorings: Sequence[str], what: str) -> Paths:
    """A row for each run of each problem; costs are means over runs.

    Trees end in different numbers of paths; shorter rows are padded with "no answer".
    """
    rows = rows.sort_values(["problem_id", "path"], kind="stable")
    graded = _graded(rows, grades, what)
    trees = rows.groupby(["problem_id", "subtree"], sort=True)
    codes, place = trees.ngroup().to_numpy(), trees.cumcount().to_numpy()
    first = trees[[*TREE_COSTS, *TREE_DEPTH]].first()
    counts = first.groupby("problem_id", sort=True).size()
    if counts.nunique() > 1:
        raise UserError(
            f"{what}: {counts.min()} searches of problem {counts.idxmin()}, {counts.max()} of "
            "others; run the search"
        )
    at, shape = (codes, place), (len(first), int(place.max(initial=0)) + 1)
    mean = first.groupby("problem_id", sort=True).mean()
    costs = {name: mean[column].to_numpy(dtype=float) for column, name in TREE_COSTS.items()}
    return (
        Pool(counts.index.to_numpy(), np.zeros(shape, dtype=int), **_spread(graded, at, shape)),
        _spread_scores(rows, at, shape, scorings, what),
        costs,
        Depth(*(mean[name].to_numpy(dtype=float) for name in TREE_DEPTH)),
    )


def _graded(rows: pd.DataFrame, grades: pd.DataFrame, what: str) -> pd.DataFrame:
    """The grades of paths, row by row."""
    keys = ["problem_id", "path"]
    graded = rows[keys].merge(
        grades[[*keys, "answer_class", "correct"]], on=keys, how="left", validate="one_to_one"
    )
    if graded["answer_class"].isna().any():
        raise UserError(f"{what}: paths without a grade; run the grading again")
    return graded


def _spread(graded: pd.DataFrame, at: tuple, shape: tuple) -> dict[str, np.ndarray]:
    """Classes and correctness at their places, "no answer" elsewhere."""
    classes, correct = np.full(shape, -1), np.zeros(shape)
    classes[at], correct[at] = graded["answer_class"], correctness(graded)
    return {"classes": classes, "correct": correct}


def _spread_scores(
    rows: pd.DataFrame, at: tuple, shape: tuple, scorings: Sequence[str], what: str
) -> np.ndarray:
    scores = np.zeros((*shape, len(scorings)))
    scores[at] = path_scores(rows["scores"].to_numpy(), scorings, what)
    return scores
