"""How hard each problem is for one policy: its Pass@1, in absolute and in equally large bins.

Absolute thresholds are those of Liu et al. (2025): easy from 50 %, hard below 10 %. Equally large
bins are Snell et al.'s (2024) quintiles. Both come from samples that no strategy is scored on, if
the study draws such samples; `source` says which were used.
"""

import numpy as np
import pandas as pd

from testtime.data.samples import whole_thoughts
from testtime.errors import UserError
from testtime.study.seeds import derive
from testtime.study.vocabulary import DIFFICULTY, FROM_POOL, HELD_OUT, LEVELS, POOL

EASY, HARD = 0.5, 0.1


def estimate(
    grades: pd.DataFrame, *, easy: float = EASY, hard: float = HARD, quantiles: int = 5
) -> pd.DataFrame:
    """Pass@1 and bins of every problem, from the graded samples of one policy.

    The held-out samples (method "difficulty") are used if there are any, else the pool itself
    (method "pool"), on which the strategies are scored too, at the largest thinking budget of a
    policy that thinks. An undecided grade counts as not correct.

    Args:
        grades: columns method, problem_id, correct (nullable); other methods are ignored.
        easy: Pass@1 at or above it is easy.
        hard: Pass@1 below it is hard.
        quantiles: number of equally large bins, q1 the easiest.

    Returns:
        One row per problem, by problem_id: problem_id, pass_at_1, n_samples, level, quantile,
        source ("held-out" or "pool").

    Raises:
        UserError: there are no samples of either kind.
    """
    held_out = grades["method"] == DIFFICULTY
    samples = whole_thoughts(grades[held_out if held_out.any() else grades["method"] == POOL])
    if not len(samples):
        raise UserError("no graded samples to estimate difficulty from: the pool is empty")
    correct = samples["correct"].astype("boolean").fillna(False).astype(float)
    table = (
        correct.groupby(samples["problem_id"], sort=True)
        .agg(pass_at_1="mean", n_samples="size")
        .reset_index()
    )
    table["level"] = levels(table["pass_at_1"], easy=easy, hard=hard)
    table["quantile"] = quantile_bins(table["pass_at_1"], table["problem_id"], quantiles)
    table["source"] = HELD_OUT if held_out.any() else FROM_POOL
    return table


def levels(
    pass_at_1: pd.Series | np.ndarray | list[float],
    *,
    easy: float | pd.Series = EASY,
    hard: float | pd.Series = HARD,
) -> np.ndarray:
    """The absolute level of each Pass@1: easy >= `easy`, hard < `hard`, medium between.

    Thresholds may be one for all or one for each.
    """
    values = np.asarray(pass_at_1, dtype=float)
    return np.select([values >= easy, values < hard], [LEVELS[0], LEVELS[2]], LEVELS[1]).astype(
        object
    )


def quantile_bins(
    pass_at_1: pd.Series | np.ndarray, problem_ids: pd.Series | list[str], n_bins: int
) -> np.ndarray:
    """Equally large bins q1 (easiest) to q`n_bins`, sizes at most one apart.

    Problems of equal Pass@1 are ordered by a hash of their id: the same on every machine, and
    unrelated to the dataset's order, which may follow difficulty.

    Returns:
        Object array of names, one per problem.
    """
    ids = list(problem_ids)
    order = sorted(
        range(len(ids)),
        key=lambda i: (-float(np.asarray(pass_at_1)[i]), derive("quantile", ids[i])),
    )
    names = np.empty(len(ids), dtype=object)
    for rank, i in enumerate(order):
        names[i] = f"q{1 + rank * n_bins // len(ids)}"
    return names
