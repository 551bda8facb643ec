"""Best-of-k: the sample with the highest score gives the answer."""

import numpy as np

from testtime.evaluate.subsets import rank_probability


def best_of_k(correct: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """Exact expectation over all subsets of k of the n samples; equal scores share the choice.

    The i-th smallest score is the best of a random subset with probability C(i-1, k-1) / C(n, k).
    Within equal scores every sample is as likely as another, so they share their ranks' chances.

    Args:
        correct: array (n_problems, n), 0 or 1 per sample.
        scores: array (n_problems, n) or (n_problems, n, n_scorings); -inf for a sample that may
            only be chosen where there is no other.
        k: subset size, at most n.

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
    expected = share[group].reshape(ranked.shape) @ rank_probability(scores.shape[1], k)
    return expected.reshape(scores.shape[:1] + scores.shape[2:])
