"""Adaptive consistency by the posterior of all answers seen, instead of the two most frequent."""

from functools import lru_cache

import numpy as np
from scipy.special import gammainc, gammaincinv

from testtime.evaluate.methods.adaptive_consistency import CONFIDENCE, ahead, leads, rounds
from testtime.evaluate.rules import Ballots, Drawn, stop_when

NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)

__all__ = ["adaptive_dirichlet", "rounds"]


def adaptive_dirichlet(drawn: Drawn) -> Ballots:
    """Stop when the leader is the most frequent of the answers seen with a probability of 95 %.

    With a uniform prior, the shares of the answers have the posterior Dirichlet(v + 1). Source:
    Aggarwal et al. (2023), arXiv 2305.11860, equation 1. Where all samples gave one answer, an
    unseen second stands beside it, as in their program. The majority wins.
    """
    return stop_when(drawn, rounds(drawn.classes.shape[1]), _decided)


def _decided(counts: np.ndarray) -> np.ndarray:
    decided = leads(counts)
    several = np.flatnonzero(decided & ((counts > 0).sum(axis=1) > 2))
    # Ahead of all is at most as likely as ahead of the second, and at least as likely as the
    # chances to be behind each of them leave; what lies between is integrated.
    held = -np.sort(-counts[several], axis=1)
    behind = np.where(held[:, 1:] > 0, 1 - ahead(held[:, :1], held[:, 1:]), 0.0).sum(axis=1)
    unsure = behind > 1 - CONFIDENCE
    for i, seen in zip(several[unsure], held[unsure], strict=True):
        chance = leader_probability(tuple(int(count) for count in seen if count))
        decided[i] = chance >= CONFIDENCE
    return decided


@lru_cache(maxsize=1 << 16)
def leader_probability(counts: tuple[int, ...]) -> float:
    """Chance that the first has the largest share under Dirichlet(counts + 1).

    Shares are independent Gamma(count + 1) variables over their sum, so it is the mean, over the
    leader's, of the chance that every other is smaller. Gauss-Legendre over the leader's quantiles.

    Args:
        counts: the leader's first.
    """
    quantiles = (NODES + 1) / 2
    values = gammaincinv(counts[0] + 1.0, quantiles)
    below = gammainc(np.array(counts[1:])[:, None] + 1.0, values).prod(axis=0)
    return float(below @ WEIGHTS / 2)
