"""Pass@k: the chance that at least one of k samples is right."""

import numpy as np

from testtime.evaluate.subsets import miss_probability


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
