"""What k samples drawn from a pool of n achieve: exact, or over a sample of the subsets.

Probabilities in closed form, Pass@k, best-of-k and majority voting by formula, and subsets for
everything without a formula.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations
from math import ceil, comb, perm

import numpy as np
from scipy.special import gammaln

# Enumerating all subsets is worth more work than drawing some: it leaves no error.
ENUMERATE_FACTOR = 2
# Complex multiplications per answer above which random subsets are cheaper.
MAX_OPERATIONS = 3e7


def miss_probability(n: int, k: int) -> np.ndarray:
    """Chance that k of n samples, drawn without replacement, hold none of m given ones.

    Returns:
        Array (n + 1,) over m: C(n - m, k) / C(n, k), by products so that nothing overflows.
    """
    m = np.arange(n)
    return np.concatenate([[1.0], np.cumprod(np.clip(n - k - m, 0, None) / (n - m))])


def rank_probability(n: int, k: int, *, replace: bool = False) -> np.ndarray:
    """Chance that the i-th smallest of n samples is the largest of k drawn.

    Returns:
        Array (n,) over i = 1..n: C(i - 1, k - 1) / C(n, k) without replacement, else
        (i / n)^k - ((i - 1) / n)^k.
    """
    if replace:
        return np.diff((np.arange(n + 1) / n) ** k)
    i = np.arange(n, 1, -1)
    ratios = np.clip(i - k, 0, None) / (i - 1)
    return (k / n * np.concatenate([[1.0], np.cumprod(ratios)]))[::-1]


@dataclass(frozen=True)
class Subsets:
    """Subsets to average over.

    Attributes:
        members: array (n, n_subsets), how often the subset holds the sample.
        groups: number of equal, independent groups of subsets; 0 if these are all subsets.
    """

    members: np.ndarray
    groups: int

    @property
    def exact(self) -> bool:
        """Whether averages over the subsets have no Monte-Carlo error."""
        return self.groups == 0


@dataclass(frozen=True)
class Orders:
    """Subsets with the order in which their samples are drawn.

    Attributes:
        places: array (n_orders, k) of samples.
        groups: number of equal, independent groups of them; 0 if these are all that there are.
    """

    places: np.ndarray
    groups: int


def choose_orders(
    n: int, k: int, at_least: int, seed: int, *, ordered: bool = True, replace: bool = False
) -> Orders:
    """All orders of k of n if they are few, else at least `at_least` random ones.

    Random ones come from permutations cut into n // k disjoint pieces: pieces of one permutation
    use every sample about equally often, which removes most of the error of independent draws.

    Args:
        n: samples.
        k: drawn of them.
        at_least: least number of random orders.
        seed: of the random ones.
        ordered: whether orders of the same samples differ.
        replace: draw with replacement instead, always at random.
    """
    rng = np.random.default_rng(seed)
    if replace:
        return Orders(rng.integers(n, size=(at_least, k)), at_least)
    count, each = (perm(n, k), permutations) if ordered else (comb(n, k), combinations)
    if count <= ENUMERATE_FACTOR * at_least:
        return Orders(np.array(list(each(range(n), k))), 0)
    pieces = n // k
    groups = max(2, ceil(at_least / pieces))
    whole = rng.permuted(np.tile(np.arange(n), (groups, 1)), axis=1)
    return Orders(whole[:, : pieces * k].reshape(-1, k), groups)


def choose_subsets(n: int, k: int, at_least: int, seed: int) -> Subsets:
    """All subsets of k of n if they are few, else random ones, see `choose_orders`."""
    chosen = choose_orders(n, k, at_least, seed, ordered=False)
    members = np.zeros((n, len(chosen.places)))
    np.put_along_axis(members, chosen.places.T, 1.0, axis=0)
    return Subsets(members, chosen.groups)


def resample(n: int, k: int, draws: int, seed: int) -> Subsets:
    """Random draws of k of n with replacement."""
    rng = np.random.default_rng(seed)
    return Subsets(rng.multinomial(k, np.full(n, 1 / n), size=draws).T.astype(float), draws)


def pass_at_k(correct: np.ndarray, k: int) -> np.ndarray:
    """Unbiased estimate from a pool of n >= k samples.

    Args:
        correct: array (..., n) of 0 and 1.
        k: samples drawn without replacement.

    Returns:
        Array (...): 1 - C(n - c, k) / C(n, k), with c right samples.

    Source: Chen et al. (2021), "Evaluating large language models trained on code", section 2.1.
    """
    n_right = np.rint(np.asarray(correct).sum(axis=-1)).astype(int)
    return 1.0 - miss_probability(np.shape(correct)[-1], k)[n_right]


def best_of_k(
    correct: np.ndarray, scores: np.ndarray, k: int, *, replace: bool = False
) -> np.ndarray:
    """Exact expectation over all draws of k of the n samples; equal scores share the choice.

    The i-th smallest score is the best of a random subset with probability C(i-1, k-1) / C(n, k).
    Samples of equal score are equally likely, so they share the probabilities of their ranks.

    Args:
        correct: array (n_problems, n), 0 or 1 per sample.
        scores: array (n_problems, n) or (n_problems, n, n_scorings); -inf for a sample that may be
            chosen only if there is no other.
        k: subset size, at most n.
        replace: whether the k are drawn with replacement.

    Returns:
        Array (n_problems,) or (n_problems, n_scorings): expected correctness.
    """
    scores = np.asarray(scores, dtype=float)
    by_scoring = np.moveaxis(np.atleast_3d(scores), 1, 2)
    order = np.argsort(by_scoring, axis=2, kind="stable")
    ranked = np.take_along_axis(by_scoring, order, axis=2)
    right = np.take_along_axis(np.asarray(correct, dtype=float)[:, None, :], order, axis=2)
    starts = np.ones(ranked.shape, dtype=bool)
    starts[..., 1:] = ranked[..., 1:] != ranked[..., :-1]
    group = np.cumsum(starts.ravel()) - 1
    share = np.bincount(group, weights=right.ravel()) / np.bincount(group)
    chances = rank_probability(scores.shape[1], k, replace=replace)
    expected = share[group].reshape(ranked.shape) @ chances
    return expected.reshape(scores.shape[:1] + scores.shape[2:])


def win_probability(counts: np.ndarray, k: int, n: int, target: int) -> float:
    """Chance that a class wins the vote of k of n samples; a tie of t classes counts 1/t.

    If the target has j votes, every other class may have at most j. Each sample is taken with
    probability p = k/n on its own; "k were taken" then gives back draws without replacement, and
    all numbers stay between 0 and 1. A class that may hold up to j votes has the generating
    function sum_{i<j} b(i) x^i + y b(j) x^j with binomial b, where y marks a tie; the integral of
    y^t from 0 to 1 is the 1/(t + 1) that the target gets. Gauss-Legendre nodes integrate that
    exactly, and roots of unity pick the coefficient of x^(k - j).

    Args:
        counts: samples per class, array (n_classes,); samples without a vote count only in n.
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
        if len(rivals) == 0 or k - j < j:  # no other class can reach j
            held = _binomial(n - own, p)[k - j] if k - j <= n - own else 0.0
        else:
            held = _held_to(j, rivals, n - own - int(rivals.sum()), k, p)
        won += taken[j] * held
    return float(won / _binomial(n, p)[k])


def majority_operations(counts: np.ndarray, k: int, n: int) -> float:
    """Work of `win_probability` for the worst target, in complex multiplications."""
    j = np.arange(1, max(k // 2, 1) + 1)
    nodes = np.maximum(k // j, 1) / 2
    kinds = np.array([len(np.unique(counts[counts >= level])) for level in j])
    return float((kinds * nodes).sum() * n / 2)


def _held_to(j: int, rivals: np.ndarray, free: int, k: int, p: float) -> float:
    """Weight of "k - j votes go elsewhere, no rival above j", ties with the target shared."""
    size = free + j * len(rivals) + 1
    if k - j >= size:
        return 0.0  # this many votes cannot go elsewhere
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
