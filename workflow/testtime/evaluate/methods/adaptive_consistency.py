"""Adaptive consistency: one sample at a time, until the leading answer is ahead for sure."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.special import betaincc

from testtime.evaluate.rules import Ballots, Drawn, stop_when

CONFIDENCE = 0.95  # as the authors have it


def adaptive_consistency(drawn: Drawn) -> Ballots:
    """Stop when the leader is more frequent than the second with a probability of 95 %.

    With v1 and v2 votes and a uniform prior, the leader's share among the two has the posterior
    Beta(v1 + 1, v2 + 1), which must lie above 1/2. Source: Aggarwal et al. (2023), "Let's sample
    step by step", arXiv 2305.11860, section 3 (their Beta criterion). The majority wins.
    """
    return stop_when(drawn, rounds(drawn.classes.shape[1]), leads)


def rounds(n: int) -> Sequence[int]:
    """After every sample."""
    return range(1, n + 1)


def leads(counts: np.ndarray) -> np.ndarray:
    """Whether the leader is ahead of the second for sure.

    Args:
        counts: array (n, n_classes), of two or more classes.

    Returns:
        Array (n,).
    """
    second, first = np.partition(counts, counts.shape[1] - 2, axis=1)[:, -2:].T
    return (ahead(first, second) >= CONFIDENCE) & (first > 0)


def ahead(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The chance that answers with so many votes are more frequent than those with so many."""
    most = max(int(first.max(initial=1)), int(second.max(initial=1)))
    return _chances(1 << most.bit_length())[first, second]


@cache
def _chances(n: int) -> np.ndarray:
    """Of v1 votes to be ahead of v2, both below n: array (n, n)."""
    votes = np.arange(n)
    return betaincc(votes[:, None] + 1, votes + 1, 0.5)
