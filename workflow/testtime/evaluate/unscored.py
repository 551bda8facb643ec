"""What lay beyond a PRM's context, and so has no score: counted for each PRM, never silent."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from testtime.data.store import read_lengths

KEYS = ["dataset", "policy", "prm", "method"]
COUNTS = ["paths", "cut_paths", "unread_paths", "steps", "unscored_steps"]


def unscored_table(
    generations: Sequence[str], scores: Sequence[str], searches: Sequence[str]
) -> pd.DataFrame:
    """Count paths and steps without a score.

    A path is scored by the steps that the PRM could read: its minimum, mean or last are over them,
    and a path of which it could read none scores 0.

    Args:
        generations: files `generations/DATASET/POLICY/BLOCK/SHARD.parquet`, at least those scored.
        scores: files `scores/DATASET/POLICY/PRM/BLOCK/SHARD.parquet`, in their samples' order.
        searches: files `searches/DATASET/POLICY/PRM/METHOD/BLOCK/SHARD.parquet`.

    Returns:
        One row per dataset, policy, PRM and method (best_of_n: the pool): paths; cut_paths, whose
        last steps have no score; unread_paths, of which no step has one; steps; unscored_steps.
    """
    rows = [*_pooled(generations, scores), *_searched(searches)]
    table = pd.DataFrame(rows, columns=[*KEYS, *COUNTS])
    return table.groupby(KEYS, as_index=False, sort=True)[COUNTS].sum()


def _pooled(generations: Iterable[str], scores: Iterable[str]) -> Iterator[tuple]:
    written = {}
    for path in generations:
        lengths, of = read_lengths(path, "steps")
        written[of["dataset"], of["policy"], of["block"], of["shard"]] = lengths
    for path in scores:
        lengths, of = read_lengths(path, "scores")
        steps = written[of["dataset"], of["policy"], of["block"], of["shard"]]
        yield of["dataset"], of["policy"], of["prm"], "best_of_n", *_count(steps, lengths)


def _searched(searches: Iterable[str]) -> Iterator[tuple]:
    for path in searches:
        lengths, of = read_lengths(path, "scores")
        counts = _count(read_lengths(path, "steps")[0], lengths)
        yield of["dataset"], of["policy"], of["prm"], of["method"], *counts


def _count(steps: np.ndarray, scores: np.ndarray) -> tuple[int, int, int, int, int]:
    cut, unread = scores < steps, (scores == 0) & (steps > 0)
    return len(steps), cut.sum(), unread.sum(), steps.sum(), (steps - scores).sum()
