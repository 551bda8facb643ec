"""Majority of the bests: the answer that best-of-m would give most often."""

from math import isqrt

import numpy as np

from testtime.evaluate.estimators import rank_probability
from testtime.evaluate.rules import Ballots, Drawn


def majority_of_bests(drawn: Drawn) -> Ballots:
    """The most frequent answer of best-of-m over all m of the samples, drawn with replacement.

    A sample's vote is its chance to be the best of m, the square root of the number of samples with
    an answer; equal scores share their chances. Source: Rakhsha et al. (2025), "Majority of the
    bests", arXiv 2511.18630.
    """
    answered = drawn.answered
    scores = np.where(answered, drawn.scores, -np.inf)  # the lowest ranks, which have no vote
    order = np.argsort(scores, axis=1, kind="stable")
    k, voters = scores.shape[1], answered.sum(axis=1)
    chances = np.zeros((k + 1, k))  # by number of voters, which take the highest ranks
    for n in np.unique(voters[voters > 0]):
        chances[n, k - n :] = rank_probability(int(n), isqrt(int(n)), replace=True)
    shared = _share_equal(np.take_along_axis(scores, order, axis=1), chances[voters])
    weights = np.empty_like(shared)
    np.put_along_axis(weights, order, shared, axis=1)
    return Ballots(weights)


def _share_equal(ranked: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """The mean of the chances of equal scores, for each of them; rows are ascending."""
    starts = np.ones(ranked.shape, dtype=bool)
    starts[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    group = np.cumsum(starts.ravel()) - 1
    means = np.bincount(group, chances.ravel()) / np.bincount(group)
    return means[group].reshape(ranked.shape)
