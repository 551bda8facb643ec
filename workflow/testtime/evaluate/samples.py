"""Draws from a policy's own samples: plain CoT, or k of the nested pool."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.costs import distinct_tokens, drawn_tokens, text_groups, token_counts
from testtime.evaluate.depth import at_once, prompt_tokens
from testtime.evaluate.pool import Draw, Pool, Samples, Weighting, align, make_pool
from testtime.evaluate.scoring import weigh
from testtime.study.blocks import SINGLE
from testtime.study.methods import METHODS
from testtime.study.vocabulary import COT, NONE, POOL


def chain_draws(
    generations: pd.DataFrame, grades: pd.DataFrame, methods: Sequence[str]
) -> Iterator[Draw]:
    """One sample of CoT for each problem, if there are any: the greedy one, or one of several.

    At each thinking budget of a policy that thinks.
    """
    chains, graded = generations[generations["block"] == COT], grades[grades["method"] == COT]
    for name in [name for name in methods if METHODS[name].kind == "greedy" and len(chains)]:
        for thinking, rows in by_thinking(chains):
            pool = make_pool(rows, "sample", at_thinking(graded, thinking), name)
            weights = pool.spread(weigh(METHODS[name], rows, [NONE]))
            tokens = pool.spread(token_counts(rows["tokens"]))
            drawn = [Weighting(METHODS[name], NONE, weights, _costs(tokens, 1))]
            depth = at_once(tokens, prompt_tokens(rows, pool.rows), 1)
            yield Draw(pool, 1, 1, drawn, depth, thinking=thinking)


def read_pools(
    generations: pd.DataFrame, grades: pd.DataFrame
) -> Iterator[tuple[int, Pool, pd.DataFrame]]:
    """The nested pool at each thinking budget, and the frame of samples that its rows refer to."""
    samples, graded = generations[~generations["block"].isin(SINGLE)], grades["method"] == POOL
    for thinking, rows in by_thinking(samples):
        pool = make_pool(rows, "sample", at_thinking(grades[graded], thinking), POOL)
        yield thinking, pool, rows


def by_thinking(rows: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Samples at each thinking budget; all at 0 where the policy does not think."""
    if "thinking" not in rows:
        yield 0, rows.reset_index(drop=True)
        return
    for thinking, own in rows.groupby("thinking", sort=True):
        yield int(thinking), own.reset_index(drop=True)


def at_thinking(rows: pd.DataFrame, thinking: int) -> pd.DataFrame:
    """The grades or scores of samples at a thinking budget."""
    return rows[rows["thinking"] == thinking] if "thinking" in rows else rows


def pool_draws(
    pool: Pool,
    samples: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    methods: Sequence[str],
    scorings: Sequence[str],
    budgets: Sequence[int],
    thinking: int = 0,
) -> Iterator[Draw]:
    """Draws of every number of samples k in `budgets`, with every method that chooses among them.

    Args:
        pool: of `read_pools`.
        samples: of `read_pools`.
        scores: one row per sample and PRM, at this T; may be empty.
        methods: those of other kinds are ignored.
        scorings: of the study.
        budgets: k.
        thinking: T of these samples.

    Raises:
        UserError: a budget is larger than the pool, or a PRM's scores are of other samples.
    """
    tokens = pool.spread(token_counts(samples["tokens"]))
    prompt = prompt_tokens(samples, pool.rows)
    groups = text_groups(pool.spread(samples["text"].to_numpy()))
    weighed = []
    for method in [METHODS[name] for name in methods if METHODS[name].kind == "pool"]:
        unread = [(NONE, None, samples)]
        for prm, read, paths in _read(pool, samples, scores) if method.needs_prm else unread:
            if method.rule and method.reads is None:
                weighed.append((method, prm, None, read))
                continue
            try:
                weighing = METHODS[method.reads or method.name]
                weights = weigh(weighing, paths, method.scorings_of(scorings))
            except UserError as error:
                raise UserError(f"{method.name} with {prm}: {error}") from None
            if weights is not None:
                weighed.append((method, prm, pool.spread(weights), read))
    ruled = None
    if any(own[0].rule for own in weighed):
        ruled = _samples(pool, samples, tokens, prompt)
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
            at_once(tokens, prompt, k),
            thinking=thinking,
            samples=ruled,
        )


def _samples(pool: Pool, samples: pd.DataFrame, tokens: np.ndarray, prompt: np.ndarray) -> Samples:
    """The pool as rules read it."""
    thoughts, forced = tokens, None
    if "forced" in samples and samples["forced"].notna().all():
        forced = pool.spread(samples["forced"].to_numpy(dtype=bool))
        thoughts = pool.spread(token_counts(samples["thought_tokens"]))
    steps = _steps(samples)
    spread = None if steps is None else pool.spread(steps)
    return Samples(pool.classes, pool.correct, tokens, thoughts, forced, prompt, steps=spread)


def _steps(samples: pd.DataFrame) -> np.ndarray | None:
    """Probability and end of every step of each sample, (n_samples,) of objects; None if unknown.

    Samples made elsewhere may have no log-probabilities, and old ones do not have the ends.
    """
    known = {"logprob", "step_ends"} <= set(samples)
    if not known or not samples[["logprob", "step_ends"]].notna().all(axis=None):
        return None
    found = np.empty(len(samples), dtype=object)
    pairs = zip(samples["step_logprobs"], samples["step_ends"], strict=True)
    found[:] = [(np.exp(np.asarray(logs, dtype=float)), np.asarray(ends)) for logs, ends in pairs]
    return found


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
