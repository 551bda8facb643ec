"""Subsets of k out of a pool of n samples: chances in closed form, and the subsets themselves."""

from dataclasses import dataclass
from itertools import combinations
from math import ceil, comb

import numpy as np

# Going through all subsets is worth some more of them than drawing: it leaves no error.
ENUMERATE_FACTOR = 2


def miss_probability(n: int, k: int) -> np.ndarray:
    """Chance that k of n samples, drawn without replacement, hold none of m given ones.

    Returns:
        Array (n + 1,) over m: C(n - m, k) / C(n, k), by products so that nothing overflows.
    """
    m = np.arange(n)
    return np.concatenate([[1.0], np.cumprod(np.clip(n - k - m, 0, None) / (n - m))])


def rank_probability(n: int, k: int) -> np.ndarray:
    """Chance that the i-th smallest of n samples is the largest of k drawn without replacement.

    Returns:
        Array (n,) over i = 1..n: C(i - 1, k - 1) / C(n, k).
    """
    i = np.arange(n, 1, -1)
    ratios = np.clip(i - k, 0, None) / (i - 1)
    return (k / n * np.concatenate([[1.0], np.cumprod(ratios)]))[::-1]


@dataclass(frozen=True)
class Subsets:
    """Subsets to average over.

    Attributes:
        members: array (n, n_subsets), 1.0 where the subset holds the sample.
        groups: subsets come in so many equal, independent groups; 0 where they are all there are.
    """

    members: np.ndarray
    groups: int

    @property
    def exact(self) -> bool:
        """Whether averages over the subsets have no Monte-Carlo error."""
        return self.groups == 0


def choose_subsets(n: int, k: int, at_least: int, seed: int) -> Subsets:
    """All subsets of k of n where they are few, else at least `at_least` random ones.

    Random subsets come from permutations cut into n // k disjoint pieces: pieces of one permutation
    use every sample about equally often, which removes most of the error that plain draws have.
    """
    if comb(n, k) <= ENUMERATE_FACTOR * at_least:
        chosen, groups = np.array(list(combinations(range(n), k))), 0
    else:
        pieces = n // k
        groups = max(2, ceil(at_least / pieces))
        orders = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (groups, 1)), axis=1)
        chosen = orders[:, : pieces * k].reshape(-1, k)
    members = np.zeros((n, len(chosen)))
    np.put_along_axis(members, chosen.T, 1.0, axis=0)
    return Subsets(members, groups)
