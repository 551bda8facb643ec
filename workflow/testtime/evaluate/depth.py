"""How deep a run is: what of its work must wait for what, over the draws from a pool."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.evaluate.costs import drawn_tokens, token_counts
from testtime.evaluate.estimators import rank_probability
from testtime.study.speed import PROMPT_TOKENS, Depth

TREE_DEPTH = ("tree_steps", "tree_read", "tree_held", "tree_calls")
TREE = ["method", "prm", "budget", "problem_id", "subtree"]


def expected_max(values: np.ndarray, k: int) -> np.ndarray:
    """Of k of n values without replacement, the largest in expectation.

    Args:
        values: array (n_problems, n); NaN where unknown, which makes the problem's unknown.
        k: drawn, 1 to n.
    """
    return np.sort(values, axis=1) @ rank_probability(values.shape[1], k)


def at_once(tokens: np.ndarray, prompt: np.ndarray, k: int) -> Depth:
    """Depth of k of n samples that are drawn at the same time.

    Args:
        tokens: array (n_problems, n), of each sample.
        prompt: array (n_problems,), tokens of the problem.
        k: drawn.
    """
    return Depth(
        steps=expected_max(tokens, k),
        read=k * contexts_read(tokens, prompt[:, None]).mean(axis=1),
        held=k * (prompt + tokens.mean(axis=1)),
        calls=np.ones(len(tokens)),
    )


def contexts_read(tokens: np.ndarray, prompt: np.ndarray | float) -> np.ndarray:
    """Tokens whose keys and values are read while so many are drawn, one after the other."""
    return tokens * (prompt + (tokens + 1) / 2)


def in_rounds(
    tokens: np.ndarray, counts: np.ndarray, prompt: float, sizes: Sequence[int]
) -> tuple[float, float, float]:
    """Means over orders of steps, read and held where each round waits for the one before.

    Args:
        tokens: array (n_orders, k), of the samples in their order.
        counts: array (n_orders,), how many of them are drawn, each one of `sizes`.
        prompt: tokens of the problem.
        sizes: ascending numbers of samples after which a round ends, k the last.
    """
    starts = np.array([0, *sizes[:-1]])
    taken = starts < counts[:, None]
    longest = np.maximum.reduceat(tokens, starts, axis=1)
    kept = np.add.reduceat(tokens, starts, axis=1) + prompt * np.diff([*starts, sizes[-1]])
    read = contexts_read(first_ones(tokens, counts), prompt)
    return (
        float(np.where(taken, longest, 0.0).sum(axis=1).mean()),
        float(read.sum(axis=1).mean()),
        float(np.where(taken, kept, 0.0).max(axis=1).mean()),
    )


def first_ones(tokens: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The tokens of so many first samples of each order, 0 for the others, (n_orders, k)."""
    return np.where(np.arange(tokens.shape[1]) < counts[:, None], tokens, 0.0)


def prompt_tokens(samples: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Tokens of each problem, (n_problems,), from any one of its samples' rows."""
    if "prompt_tokens" not in samples:
        return np.full(len(rows), float(PROMPT_TOKENS))
    return token_counts(samples["prompt_tokens"].fillna(PROMPT_TOKENS))[rows[:, :1]].ravel()


def with_tree_depth(searches: pd.DataFrame) -> pd.DataFrame:
    """Searches with the columns TREE_DEPTH, of the whole tree, on each of its rows.

    What a tree dropped is not stored, so its decoding steps are taken to be the most of three: the
    longest step among the kept paths at each place, added up; the longest path; as many steps of
    the mean length as there were. A path's tokens are shared out to its steps by their characters.

    Args:
        searches: one row per path and pruned candidate; NaN where a column is missing.
    """
    needed = {"steps", "tokens", "widths", "prompt_tokens", "tree_policy_tokens"}
    if searches.empty or not needed <= set(searches):
        return searches.assign(**dict.fromkeys(TREE_DEPTH, np.nan))
    trees = searches.groupby(TREE, sort=False)
    tree = trees.ngroup().to_numpy()
    first = trees[["widths", "prompt_tokens", "tree_policy_tokens"]].first()
    longest = trees["tokens"].max().to_numpy(dtype=float)
    mean = trees["tokens"].mean().to_numpy(dtype=float)
    prompt, drawn = (token_counts(first[name]) for name in first.columns[1:])
    calls = first["widths"].map(len).to_numpy(dtype=float)
    candidates = first["widths"].map(sum).to_numpy(dtype=float)
    widest = first["widths"].map(lambda widths: max(widths, default=0)).to_numpy(dtype=float)
    steps = np.maximum.reduce(
        [
            _longest_steps(searches, tree, len(first)),
            longest,
            calls * drawn / np.maximum(candidates, 1),
        ]
    )
    found = steps, drawn * (prompt + (mean + 1) / 2), widest * (prompt + mean), calls
    return searches.assign(**{n: v[tree] for n, v in zip(TREE_DEPTH, found, strict=True)})


def _longest_steps(searches: pd.DataFrame, tree: np.ndarray, n_trees: int) -> np.ndarray:
    """Tokens of the longest step at each place of a tree's paths, added up, (n_trees,)."""
    counts = searches["steps"].map(len).to_numpy()
    path = np.repeat(np.arange(len(searches)), counts)
    lengths = [len(step) for steps in searches["steps"] for step in steps]
    if not lengths:
        return np.zeros(n_trees)
    characters = np.maximum(np.array(lengths, dtype=float), 1.0)
    whole = np.bincount(path, characters, len(searches))
    tokens = characters * (searches["tokens"].to_numpy(dtype=float) / np.maximum(whole, 1))[path]
    place = np.arange(len(path)) - (np.cumsum(counts) - counts)[path]
    most = np.zeros((n_trees, int(counts.max())))
    np.maximum.at(most, (tree[path], place), tokens)
    return most.sum(axis=1)


def subtrees_at_once(columns: dict[str, np.ndarray], k: int) -> Depth:
    """Depth of k of n subtrees that are searched at the same time.

    Args:
        columns: TREE_DEPTH of each, arrays (n_problems, n).
        k: drawn.
    """
    steps, read, held, calls = (columns[name] for name in TREE_DEPTH)
    return Depth(
        steps=expected_max(steps, k),
        read=drawn_tokens(read, k),
        held=drawn_tokens(held, k),
        calls=expected_max(calls, k),
    )
