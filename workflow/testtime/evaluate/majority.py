"""Majority voting over k samples drawn from a pool: exact, by generating functions."""

from functools import lru_cache
from math import ceil

import numpy as np
from scipy.special import gammaln

# Complex multiplications per answer above which random subsets are cheaper.
MAX_OPERATIONS = 3e7


def win_probability(counts: np.ndarray, k: int, n: int, target: int) -> float:
    """Chance that a class wins the vote of k of n samples; a tie of t classes counts 1/t.

    With j votes for the target, the others may hold at most j each. Each sample is taken with
    probability p = k/n on its own; "k were taken" then gives back draws without replacement, and
    all numbers stay between 0 and 1. A class that may hold up to j votes has the generating
    function sum_{i<j} b(i) x^i + y b(j) x^j with binomial b, where y marks a tie; the integral of
    y^t from 0 to 1 is the 1/(t + 1) that the target gets. Gauss-Legendre nodes integrate that
    exactly, and roots of unity pick the coefficient of x^(k - j).

    Args:
        counts: samples per class, array (n_classes,); samples without a vote are in n only.
        k: subset size, at most n.
        n: pool size.
        target: index of the class.
    """
    own, p = int(counts[target]), k / n
    others = np.delete(counts, target)
    taken = _binomial(own, p)
    won = 0.0
    for j in range(1, min(own, k) + 1):
        rivals = others[others >= j]
        if len(rivals) == 0 or k - j < j:  # nobody else can reach j
            held = _binomial(n - own, p)[k - j] if k - j <= n - own else 0.0
        else:
            held = _held_to(j, rivals, n - own - int(rivals.sum()), k, p)
        won += taken[j] * held
    return float(won / _binomial(n, p)[k])


def operations(counts: np.ndarray, k: int, n: int) -> float:
    """Work of `win_probability` for the worst target, in complex multiplications."""
    j = np.arange(1, max(k // 2, 1) + 1)
    nodes = np.maximum(k // j, 1) / 2
    kinds = np.array([len(np.unique(counts[counts >= level])) for level in j])
    return float((kinds * nodes).sum() * n / 2)


def _held_to(j: int, rivals: np.ndarray, free: int, k: int, p: float) -> float:
    """Weight of "k - j votes go elsewhere, no rival above j", ties with the target shared."""
    size = free + j * len(rivals) + 1
    if k - j >= size:
        return 0.0  # so many votes cannot go elsewhere
    ties = min(len(rivals), (k - j) // j)
    nodes, quadrature = _legendre(ceil((ties + 1) / 2))
    roots = np.exp(2j * np.pi * np.arange(size // 2 + 1) / size)
    product = np.broadcast_to((1 - p + p * roots) ** free, (len(nodes), len(roots)))
    powers = roots ** np.arange(j + 1)[:, None]
    for count, multiplicity in zip(*np.unique(rivals, return_counts=True), strict=True):
        b = _binomial(int(count), p)
        below, level = b[:j] @ powers[:j], b[j] * powers[j]
        product = product * (below + nodes[:, None] * level) ** int(multiplicity)
    # The other half of the circle is conjugate: each root but the real ones counts twice.
    fold = np.full(len(roots), 2.0)
    fold[0] = 1.0
    if size % 2 == 0:
        fold[-1] = 1.0
    coefficients = (product * roots ** -(k - j) * fold).real.sum(axis=1) / size
    return float(quadrature @ coefficients)


@lru_cache
def _legendre(n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1], exact for polynomials of degree 2 n_nodes - 1."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    return (nodes + 1) / 2, weights / 2


@lru_cache(maxsize=4096)
def _binomial(n: int, p: float) -> np.ndarray:
    """Binomial probabilities of 0..n successes, 0 < p < 1."""
    i = np.arange(n + 1)
    logs = gammaln(n + 1) - gammaln(i + 1) - gammaln(n - i + 1)
    return np.exp(logs + i * np.log(p) + (n - i) * np.log1p(-p))
