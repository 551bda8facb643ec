"""One score per path from the scores of its steps: PRM-Min, PRM-Last, PRM-Avg.

`weigh` gives the weights of any method; the weights of a search's paths are their scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from testtime.errors import UserError
from testtime.study.vocabulary import SCORE_DIGITS, SCORINGS

if TYPE_CHECKING:
    import pandas as pd

    from testtime.study.methods import Method

ROUNDING = 1e-5  # how far half-precision arithmetic may leave 0 to 1


def weigh(method: Method, paths: pd.DataFrame, scorings: Sequence[str]) -> np.ndarray | None:
    """The weight in a vote of each path of a method, by each scoring.

    Args:
        method: of a search, or one with a module among `testtime.evaluate.methods`.
        paths: with the columns that package describes.
        scorings: among those that the method has.

    Returns:
        Array (n_paths, n_scorings), none negative; None if the paths lack what it reads.
    """
    if method.kind == "search":
        return path_scores(paths["scores"].to_numpy(), scorings)
    module = import_module(method.module)
    return getattr(module, method.name)(paths, scorings)


def path_scores(
    steps: Sequence[Sequence[float]], scorings: Iterable[str], what: str = "scores"
) -> np.ndarray:
    """Reduce step scores to path scores, rounded to SCORE_DIGITS.

    Args:
        steps: per path, one probability per step that the PRM could read: "last" is the last of
            them if a path extends beyond the PRM's context. A path without any scores 0.
        scorings: names among SCORINGS.
        what: whose scores they are, for messages.

    Returns:
        Array (n_paths, n_scorings).

    Raises:
        UserError: a score is not between 0 and 1.
    """
    flat, lengths = flatten(steps)
    wrong = ~((flat >= -ROUNDING) & (flat <= 1 + ROUNDING))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        path = int(np.searchsorted(np.cumsum(lengths), first, side="right"))
        raise UserError(f"{what}, row {path}: step score {flat[first]} is not allowed; 0 to 1 are")
    columns = [reduce_steps(flat, lengths, scoring, empty=0.0) for scoring in scorings]
    return np.stack(columns, axis=1).clip(0.0, 1.0).round(SCORE_DIGITS)


def flatten(steps: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """All values of all paths in one array, and the number of values of each path."""
    lengths = np.fromiter(map(len, steps), dtype=np.int64, count=len(steps))
    if lengths.sum() == 0:
        return np.zeros(0), lengths
    filled = [np.asarray(values, dtype=float) for values in steps if len(values)]
    return np.concatenate(filled), lengths


def reduce_steps(flat: np.ndarray, lengths: np.ndarray, scoring: str, empty: float) -> np.ndarray:
    """One value per path: the smallest, the last or the mean of its steps, `empty` without steps.

    Args:
        flat: of `flatten`.
        lengths: of `flatten`.
        scoring: among SCORINGS.
        empty: value of a path without steps.
    """
    if scoring not in SCORINGS:
        raise UserError(f"scoring {scoring!r} is not known; allowed: {', '.join(SCORINGS)}")
    values = np.full(len(lengths), empty)
    filled = lengths > 0
    ends = np.cumsum(lengths)[filled]
    starts = ends - lengths[filled]
    if len(flat) == 0:
        return values
    if scoring == "min":
        values[filled] = np.minimum.reduceat(flat, starts)
    elif scoring == "last":
        values[filled] = flat[ends - 1]
    else:
        values[filled] = np.add.reduceat(flat, starts) / lengths[filled]
    return values
