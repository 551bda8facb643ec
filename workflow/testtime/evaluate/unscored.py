"""What lay beyond a PRM's context, and so has no score: counted for each PRM, never silent."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

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
    steps = {tuple(Path(path).parts[-4:]): path for path in generations}
    for path in scores:
        dataset, policy, prm, block, shard = Path(path).parts[-5:]
        written = read_lengths(steps[dataset, policy, block, shard], "steps")
        yield dataset, policy, prm, "best_of_n", *_count(written, read_lengths(path, "scores"))


def _searched(searches: Iterable[str]) -> Iterator[tuple]:
    for path in searches:
        dataset, policy, prm, method, *_ = Path(path).parts[-6:]
        counts = _count(read_lengths(path, "steps"), read_lengths(path, "scores"))
        yield dataset, policy, prm, method, *counts


def _count(steps: np.ndarray, scores: np.ndarray) -> tuple[int, int, int, int, int]:
    cut, unread = scores < steps, (scores == 0) & (steps > 0)
    return len(steps), cut.sum(), unread.sum(), steps.sum(), (steps - scores).sum()
