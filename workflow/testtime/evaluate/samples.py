"""Draws from a policy's own samples: plain CoT, or k of the nested pool."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.costs import distinct_tokens, drawn_tokens, text_groups, token_counts
from testtime.evaluate.pool import Draw, Pool, Weighting, align, make_pool
from testtime.evaluate.scoring import weigh
from testtime.study.blocks import SINGLE
from testtime.study.methods import METHODS
from testtime.study.vocabulary import COT, NONE, POOL


def chain_draws(
    generations: pd.DataFrame, grades: pd.DataFrame, methods: Sequence[str]
) -> Iterator[Draw]:
    """One sample of CoT for each problem, if there are any: the greedy one, or one of several."""
    chains = generations[generations["block"] == COT]
    for name in [name for name in methods if METHODS[name].kind == "greedy" and len(chains)]:
        pool = make_pool(chains, "sample", grades[grades["method"] == COT], name)
        weights = pool.spread(weigh(METHODS[name], chains, [NONE]))
        costs = _costs(pool.spread(token_counts(chains["tokens"])), 1)
        yield Draw(pool, 1, 1, [Weighting(METHODS[name], NONE, weights, costs)])


def read_pool(generations: pd.DataFrame, grades: pd.DataFrame) -> tuple[Pool, pd.DataFrame]:
    """The nested pool, and the frame of samples that its rows refer to."""
    samples = generations[~generations["block"].isin(SINGLE)].reset_index(drop=True)
    return make_pool(samples, "sample", grades[grades["method"] == POOL], POOL), samples


def pool_draws(
    pool: Pool,
    samples: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    methods: Sequence[str],
    scorings: Sequence[str],
    budgets: Sequence[int],
) -> Iterator[Draw]:
    """Draws of every number of samples k in `budgets`, with every method that chooses among them.

    Args:
        pool: of `read_pool`.
        samples: of `read_pool`.
        scores: one row per sample and PRM; may be empty.
        methods: those of other kinds are ignored.
        scorings: of the study.
        budgets: k.

    Raises:
        UserError: a budget is larger than the pool, or a PRM's scores are of other samples.
    """
    tokens = pool.spread(token_counts(samples["tokens"]))
    groups = text_groups(pool.spread(samples["text"].to_numpy()))
    weighed = []
    for method in [METHODS[name] for name in methods if METHODS[name].kind == "pool"]:
        unread = [(NONE, None, samples)]
        for prm, read, paths in _read(pool, samples, scores) if method.needs_prm else unread:
            try:
                weights = weigh(method, paths, method.scorings_of(scorings))
            except UserError as error:
                raise UserError(f"{method.name} with {prm}: {error}") from None
            if weights is not None:
                weighed.append((method, prm, pool.spread(weights), read))
    for k in budgets:
        if k > pool.n:
            raise UserError(
                f"config budgets.pool: {k} is more than the {pool.n} samples per problem; "
                f"allowed: 1 to {pool.n}"
            )
        yield Draw(
            pool,
            k,
            k,
            [Weighting(*found, _costs(tokens, k, read, groups)) for *found, read in weighed],
        )


def _read(
    pool: Pool, samples: pd.DataFrame, scores: pd.DataFrame
) -> Iterator[tuple[str, np.ndarray, pd.DataFrame]]:
    """Each PRM, its tokens per sample (n_problems, n), and the samples with its scores."""
    for prm, rows in scores.groupby("prm", sort=True):
        order = align(pool.problem_ids, pool.n, rows, "sample", f"scores of {prm}")
        found = np.empty(len(samples), dtype=object)
        found[pool.rows] = rows["scores"].to_numpy()[order]
        yield prm, token_counts(rows["prm_tokens"])[order], samples.assign(scores=found)


def _costs(
    tokens: np.ndarray, k: int, read: np.ndarray | None = None, groups: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Costs of k samples, of which a PRM reads each distinct text once."""
    return {
        "policy_tokens": drawn_tokens(tokens, k),
        "prm_tokens": np.zeros(len(tokens)) if read is None else distinct_tokens(read, groups, k),
    }
