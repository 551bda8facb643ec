"""Votes over equivalence classes of answers, at any budget k up to the pool's n.

A sample without an answer (class -1) does not vote; without any vote, the answer is wrong. Tied
classes share the choice: `tally` holds one vote, the rest computes its expectation over all draws
of k. What is drawn may be a whole subtree of which several candidates vote: arrays then have an
axis for them after that of the n.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from threadpoolctl import threadpool_limits

from testtime.errors import UserError
from testtime.evaluate.estimators import (
    MAX_OPERATIONS,
    Subsets,
    best_of_k,
    choose_subsets,
    majority_operations,
    miss_probability,
    resample,
    win_probability,
)
from testtime.study.vocabulary import MAJORITY, MAX, PATH_VOTES

TIE = 1e-9  # largest relative difference of summed scores due to rounding
CHUNK = 256  # subsets at a time, so that many classes' sums stay in the processor's cache


@dataclass(frozen=True)
class Draws:
    """How random subsets are drawn for votes without a formula.

    Attributes:
        subsets: least number of subsets.
        seeds: array (n_problems,), one per problem.
    """

    subsets: int
    seeds: np.ndarray


def tally(classes: Sequence[int], weights: Sequence[float], vote: str) -> list[int]:
    """The classes that win one vote, by their first paths; several if they tie.

    Args:
        classes: of each path's answer, -1 without one.
        weights: of each path, none negative; a majority counts paths alone.
        vote: one of PATH_VOTES.

    Raises:
        UserError: no such vote.
    """
    if vote not in PATH_VOTES:
        raise UserError(f"vote {vote!r} is not known; allowed: {', '.join(PATH_VOTES)}")
    totals: dict[int, float] = {}
    for group, weight in zip(classes, weights, strict=True):
        if group >= 0:
            held, added = totals.get(group, 0.0), 1.0 if vote == MAJORITY else float(weight)
            totals[group] = max(held, added) if vote == MAX else held + added
    most = max(totals.values(), default=0.0)
    return [group for group, total in totals.items() if total >= most * (1 - TIE)]


def expected_vote(
    classes: np.ndarray, correct: np.ndarray, weights: np.ndarray, k: int, vote: str, draws: Draws
) -> tuple[np.ndarray, np.ndarray]:
    """Expected correctness, and its Monte-Carlo error, of a vote of k of n samples.

    Args:
        classes: array (n_problems, n) of class numbers, -1 without an answer; (n_problems, n,
            n_voters) if not for "max".
        correct: array of the same shape, 0 or 1.
        weights: array (*classes.shape, n_weightings), none negative.
        k: subset size, at most n.
        vote: one of PATH_VOTES.
        draws: for votes without a formula.

    Returns:
        Two arrays (n_problems, n_weightings); (n_problems, 1) for a majority, which has no weights.
    """
    if vote == MAJORITY and classes.ndim > 2:
        return weighted_vote(classes, correct, np.ones((*classes.shape, 1)), k, draws)
    if vote == MAJORITY:
        expected, error = majority_vote(classes, correct, k, draws)
        return expected[:, None], error[:, None]
    if vote == MAX:
        best = _best(classes, correct, weights, k)
        return best, np.zeros_like(best)
    return weighted_vote(classes, correct, weights, k, draws)


def run_variance(
    expected: np.ndarray,
    classes: np.ndarray,
    correct: np.ndarray,
    weights: np.ndarray,
    k: int,
    vote: str,
    draws: Draws,
) -> np.ndarray:
    """Variance of a vote's correctness over runs, each of k new samples, ties broken at random.

    With p the chance that a run is right it is p(1 - p). Up to half of the pool, p is the
    expectation over its subsets; beyond, subsets would be too alike, and p is that of k samples
    drawn with replacement, as in a bootstrap: the pool stands for all samples that could be drawn.

    Args:
        expected: of `expected_vote`; the other arguments are those that it was given.
        classes: of the samples.
        correct: of the samples.
        weights: of the samples.
        k: samples of a run.
        vote: one of PATH_VOTES.
        draws: for votes without a formula.

    Returns:
        In the shape of `expected`; NaN for a pool of one.
    """
    if classes.shape[1] == 1:
        return np.full_like(expected, np.nan)
    if 2 * k <= classes.shape[1]:
        chance = expected
    elif vote == MAX:
        chance = _best(classes, correct, weights, k, replace=True)
    else:
        same = np.ones((*classes.shape, 1)) if vote == MAJORITY else weights
        chance, _ = weighted_vote(classes, correct, same, k, draws, replace=True)
    chance = chance.clip(0.0, 1.0)  # rounding leaves a sure answer 2e-16 above 1
    return chance * (1 - chance)


def _best(
    classes: np.ndarray, correct: np.ndarray, weights: np.ndarray, k: int, *, replace: bool = False
) -> np.ndarray:
    """Expected correctness of the best weighted of k samples, (n_problems, n_weightings)."""
    # A sample without an answer is chosen only if no other was drawn, and then it is wrong.
    answered = np.where(classes[..., None] >= 0, weights, -np.inf)
    return best_of_k(np.where(classes >= 0, correct, 0.0), answered, k, replace=replace)


def majority_vote(
    classes: np.ndarray, correct: np.ndarray, k: int, draws: Draws
) -> tuple[np.ndarray, np.ndarray]:
    """Expected correctness of the most frequent answer among k of n samples.

    Exact, except for pools so large and so split that the formula would take longer than random
    subsets.

    Args:
        classes: array (n_problems, n) of class numbers, -1 without an answer.
        correct: array (n_problems, n), 0 or 1; a class is as right as its samples on average.
        k: subset size, at most n.
        draws: for random subsets, if needed.

    Returns:
        Expectation and its Monte-Carlo standard error (0 where exact), each (n_problems,).
    """
    n = classes.shape[1]
    expected, error = np.zeros(len(classes)), np.zeros(len(classes))
    for i, row in enumerate(classes):
        counts, right, _ = _by_class(row, correct[i])
        if k < n and majority_operations(counts, k, n) > MAX_OPERATIONS:
            one = Draws(draws.subsets, draws.seeds[i : i + 1])
            found = weighted_vote(row[None], correct[i : i + 1], np.ones((1, n, 1)), k, one)
            expected[i], error[i] = found[0][0, 0], found[1][0, 0]
        elif k == n:
            top = counts == counts.max(initial=0)
            expected[i] = right[top].mean() if len(counts) else 0.0
        else:
            expected[i] = sum(
                right[target] * win_probability(counts, k, n, target)
                for target in np.flatnonzero(right)
            )
    return expected.clip(0.0, 1.0), error


# The products are small: threads of a linear algebra library would only wait for each other.
@threadpool_limits.wrap(limits=1)
def weighted_vote(
    classes: np.ndarray,
    correct: np.ndarray,
    weights: np.ndarray,
    k: int,
    draws: Draws,
    *,
    replace: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Expected correctness of the answer whose samples' weights sum to most, among k of n samples.

    Exact at k = n, if there are few subsets, and if a problem has one class; else over random
    subsets, the same for every weighting, so that weightings are compared on equal draws.

    Args:
        classes: array (n_problems, n) of class numbers, -1 without an answer; or (n_problems, n,
            n_voters), where k of n groups of voters are drawn.
        correct: array of the same shape, 0 or 1; a class is as right as its samples on average.
        weights: array (*classes.shape, n_weightings), none negative.
        k: subset size, at most n.
        draws: how they are drawn.
        replace: draw with replacement instead, always at random.

    Returns:
        Expectation and its Monte-Carlo standard error (0 where exact), each
        (n_problems, n_weightings).
    """
    n = classes.shape[1]
    voters = prod(classes.shape[2:])
    subsets = resample if replace else choose_subsets
    chosen = subsets(n, k, draws.subsets, seed=0)
    expected = np.zeros((len(classes), weights.shape[-1]))
    error = np.zeros_like(expected)
    for i, row in enumerate(classes):
        counts, right, members = _by_class(row.ravel(), correct[i].ravel())
        own = weights[i].reshape(n * voters, -1)
        if len(counts) == 1:
            held = len(np.unique(members[0] // voters))
            missed = (1 - held / n) ** k if replace else miss_probability(n, k)[held]
            expected[i] = right[0] * (1 - missed)
        elif right.any():
            # The subsets are drawn once; a shuffle per problem makes the errors independent.
            shuffle = np.random.default_rng(draws.seeds[i]).permutation(n)
            won = _winners(
                chosen.members,
                [shuffle[m // voters] for m in members],
                [own[m] for m in members],
                right,
            )
            expected[i], error[i] = _summarise(won, chosen)
    return expected, error


def _by_class(row: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray, list]:
    """Count, mean correctness and samples of each class that has an answer."""
    order = np.argsort(row, kind="stable")
    order = order[np.searchsorted(row[order], 0) :]
    if len(order) == 0:
        return np.zeros(0, dtype=int), np.zeros(0), []
    starts = np.flatnonzero(np.diff(row[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    right = np.add.reduceat(correct[order].astype(float), starts) / counts
    return counts, right, np.split(order, starts[1:])


def _winners(
    members: np.ndarray, places: list[np.ndarray], weights: list[np.ndarray], right: np.ndarray
) -> np.ndarray:
    """Correctness of the winning class in each subset under each weighting, ties shared.

    Args:
        members: array (n, n_subsets) of counts, see `Subsets`.
        places: per class, the rows of its samples in `members`; of the same group the same row.
        weights: per class, array (n_samples, n_weightings), none negative.
        right: correctness of each class.

    Returns:
        Array (n_weightings, n_subsets).
    """
    drawn = [members[rows] for rows in places]
    parts = []
    for start in range(0, members.shape[1], CHUNK):
        here = [d[:, start : start + CHUNK] for d in drawn]
        totals = np.stack([w.T @ d for w, d in zip(weights, here, strict=True)])
        best = totals.max(axis=0)
        winners = totals >= best * (1 - TIE)
        # If all totals are 0, a class without a sample in the subset must not win.
        blank = np.flatnonzero((best <= 0).any(axis=0))
        if len(blank):
            present = np.stack([d[:, blank].any(axis=0) for d in here])
            winners[:, :, blank] &= present[:, None, :]
        ties = winners.sum(axis=0, dtype=np.int32)
        won = np.tensordot(right[right > 0], winners[right > 0], axes=1)
        parts.append(won / np.maximum(ties, 1))
    return np.concatenate(parts, axis=1)


def _summarise(won: np.ndarray, chosen: Subsets) -> tuple[np.ndarray, np.ndarray]:
    if chosen.exact:
        return won.mean(axis=1), np.zeros(len(won))
    groups = won.reshape(len(won), chosen.groups, -1).mean(axis=2)
    return groups.mean(axis=1), groups.std(axis=1, ddof=1) / np.sqrt(chosen.groups)
