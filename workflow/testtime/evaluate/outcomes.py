"""One row per problem and strategy: expected correctness, tokens, FLOPs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.flops import inference_flops
from testtime.evaluate.pool import Pool, make_pool
from testtime.evaluate.pool_strategies import (
    confidence_weightings,
    cot_outcome,
    pool_outcomes,
    prm_weightings,
)
from testtime.evaluate.strategies import Draws, Outcome
from testtime.evaluate.trees import tree_outcomes
from testtime.study.seeds import derive

KEYS = ["prm", "method", "scoring", "vote", "budget", "problem_id"]
COLUMNS = ["dataset", "policy", *KEYS, "correct", "policy_tokens", "prm_tokens", "flops"]
POOL_METHODS = ("cot", "majority", "confidence", "best_of_n")
SINGLE_BLOCKS = ("cot", "difficulty")  # blocks that are no part of the nested pool


def evaluate_policy(
    generations: pd.DataFrame,
    scores: pd.DataFrame,
    searches: pd.DataFrame,
    grades: pd.DataFrame,
    *,
    dataset: str,
    policy: str,
    parameters: float,
    prm_parameters: Mapping[str, float],
    budgets_pool: Sequence[int],
    budgets_search: Sequence[int],
    methods: Sequence[str],
    scorings: Sequence[str],
    votes: Sequence[str],
    beam_width: int,
    seed: int,
    subsets: int,
) -> pd.DataFrame:
    """Expected correctness and cost of every strategy of one policy on one dataset.

    Args:
        generations: one row per sample, with its block.
        scores: one row per sample of the pool and PRM; may be empty.
        searches: one row per path, with prm, method and budget (0 for nested); may be empty.
        grades: one row per sample and path.
        dataset: name, for the rows and the seeds.
        policy: name, for the rows and the seeds.
        parameters: weights of the policy, for FLOPs.
        prm_parameters: weights of each PRM.
        budgets_pool: numbers of samples k, at most the pool's n.
        budgets_search: numbers of candidates N, multiples of beam_width.
        methods: names among POOL_METHODS and those in `searches`.
        scorings: among min, last, avg.
        votes: among majority, max, weighted.
        beam_width: M, paths that a subtree of a nested search expands.
        seed: of the study.
        subsets: random subsets per problem, where a vote has no formula.

    Returns:
        Rows in the order of their keys, with COLUMNS. `attrs["notes"]` says, one line each, how
        large the Monte-Carlo error is, what could not be decided, and which methods had no data.

    Raises:
        UserError: a sample, score or grade is missing, or a budget is larger than its pool.
    """
    pool, samples = _pool(generations, grades)
    seeds = [derive(seed, dataset, name, policy, "subsets") for name in pool.problem_ids]
    draws = Draws(subsets, np.array(seeds))
    choosing = {"scorings": scorings, "votes": votes, "draws": draws}
    outcomes = [
        *_cot(generations, grades, methods),
        *_pooled(pool, samples, scores, methods=methods, budgets=budgets_pool, **choosing),
        *tree_outcomes(
            searches,
            grades,
            problem_ids=pool.problem_ids,
            methods=[name for name in methods if name not in POOL_METHODS],
            budgets=budgets_search,
            beam_width=beam_width,
            **choosing,
        ),
    ]
    rows = pd.concat([_rows(o, parameters, prm_parameters) for o in outcomes], ignore_index=True)
    rows = rows.sort_values(KEYS, kind="stable", ignore_index=True)
    rows.insert(0, "dataset", dataset)
    rows.insert(1, "policy", policy)
    rows.attrs["notes"] = list(_notes(outcomes, grades, methods))
    return rows[COLUMNS]


def _pool(generations: pd.DataFrame, grades: pd.DataFrame) -> tuple[Pool, pd.DataFrame]:
    samples = generations[~generations["block"].isin(SINGLE_BLOCKS)].reset_index(drop=True)
    return make_pool(samples, "sample", grades[grades["method"] == "pool"], "pool"), samples


def _cot(
    generations: pd.DataFrame, grades: pd.DataFrame, methods: Sequence[str]
) -> Iterator[Outcome]:
    greedy = generations[generations["block"] == "cot"]
    if "cot" in methods and len(greedy):
        pool = make_pool(greedy, "sample", grades[grades["method"] == "cot"], "cot")
        yield cot_outcome(pool, greedy)


def _pooled(
    pool: Pool,
    samples: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    methods: Sequence[str],
    budgets: Sequence[int],
    scorings: Sequence[str],
    votes: Sequence[str],
    draws: Draws,
) -> Iterator[Outcome]:
    weightings = []
    if "best_of_n" in methods and len(scores):
        weightings += prm_weightings(pool, scores, scorings)
    if "confidence" in methods:
        weightings += confidence_weightings(pool, samples, scorings)
    majority = "majority" in methods
    yield from pool_outcomes(
        pool, samples, weightings, majority=majority, budgets=budgets, votes=votes, draws=draws
    )


def _rows(outcome: Outcome, parameters: float, prm_parameters: Mapping[str, float]) -> pd.DataFrame:
    flops = inference_flops(parameters, outcome.policy_tokens)
    if outcome.prm != "none":
        if outcome.prm not in prm_parameters:
            raise UserError(
                f"PRM {outcome.prm!r} has scores but no number of parameters; "
                f"known: {', '.join(sorted(prm_parameters)) or 'none'}"
            )
        flops = flops + inference_flops(prm_parameters[outcome.prm], outcome.prm_tokens)
    return pd.DataFrame(
        {
            "prm": outcome.prm,
            "method": outcome.strategy.method,
            "scoring": outcome.strategy.scoring,
            "vote": outcome.strategy.vote,
            "budget": outcome.budget,
            "problem_id": outcome.problem_ids,
            "correct": outcome.correct,
            "policy_tokens": outcome.policy_tokens,
            "prm_tokens": outcome.prm_tokens,
            "flops": flops,
        }
    )


def _notes(
    outcomes: Iterable[Outcome], grades: pd.DataFrame, methods: Sequence[str]
) -> Iterator[str]:
    outcomes = list(outcomes)
    errors = [np.sqrt((o.error**2).sum()) / len(o.error) for o in outcomes]
    yield (
        f"Monte-Carlo standard error of an accuracy over all problems: at most {max(errors):.2g}; "
        f"0 (exact) for {sum(e == 0 for e in errors)} of {len(errors)} strategies"
    )
    undecided = int(grades["correct"].isna().sum())
    silent = int((grades["answer_class"] < 0).sum())
    yield (
        f"{len(grades)} paths graded: {undecided} could not be decided and count as wrong, "
        f"{silent} have no answer and do not vote"
    )
    for name in sorted(set(methods) - {o.strategy.method for o in outcomes}):
        yield f"{name}: not evaluated, this policy has no data for it"
