"""One score per path from the scores of its steps: PRM-Min, PRM-Last, PRM-Avg."""

from collections.abc import Iterable, Sequence

import numpy as np

from testtime.errors import UserError

SCORINGS = ("min", "last", "avg")
# Scores that agree so far are equal, as in the searches: a PRM's rounding differs with the batch.
SCORE_DIGITS = 6


def path_scores(
    steps: Sequence[Sequence[float]], scorings: Iterable[str], what: str = "scores"
) -> np.ndarray:
    """Reduce step scores to path scores, rounded to SCORE_DIGITS.

    Args:
        steps: per path, one probability per step; a path without steps scores 0.
        scorings: names among SCORINGS.
        what: whose scores they are, for messages.

    Returns:
        Array (n_paths, n_scorings).

    Raises:
        UserError: a score is not a number.
    """
    scorings = list(scorings)
    lengths = np.fromiter(map(len, steps), dtype=np.int64, count=len(steps))
    filled = np.flatnonzero(lengths)
    scores = np.zeros((len(steps), len(scorings)))
    if len(filled) == 0:
        return scores
    flat = np.concatenate([np.asarray(steps[i], dtype=float) for i in filled])
    ends = np.cumsum(lengths[filled])
    starts = ends - lengths[filled]
    if np.isnan(flat).any():
        worst = filled[np.searchsorted(ends, np.flatnonzero(np.isnan(flat))[0], side="right")]
        raise UserError(f"{what}, row {worst}: a step's score is not a number; allowed: 0 to 1")
    for column, scoring in enumerate(scorings):
        scores[filled, column] = _reduce(flat, starts, ends, scoring)
    return scores.round(SCORE_DIGITS)


def _reduce(flat: np.ndarray, starts: np.ndarray, ends: np.ndarray, scoring: str) -> np.ndarray:
    if scoring == "min":
        return np.minimum.reduceat(flat, starts)
    if scoring == "last":
        return flat[ends - 1]
    if scoring == "avg":
        return np.add.reduceat(flat, starts) / (ends - starts)
    raise UserError(f"scoring {scoring!r} is not known; allowed: {', '.join(SCORINGS)}")
