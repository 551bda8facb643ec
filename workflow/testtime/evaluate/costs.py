"""What a strategy costs: expected tokens at budget k, over all subsets of the pool, and FLOPs."""

import numpy as np
import pandas as pd

from testtime.evaluate.estimators import miss_probability


def token_counts(column: pd.Series) -> np.ndarray:
    """Token counts as floats, NaN where unknown (samples made elsewhere may not say)."""
    return column.astype("Float64").to_numpy(dtype=float, na_value=np.nan)


def drawn_tokens(tokens: np.ndarray, k: int) -> np.ndarray:
    """Tokens of k of n units: k times the mean.

    Args:
        tokens: array (n_problems, n).
        k: subset size.
    """
    return k * tokens.mean(axis=1)


def text_groups(texts: np.ndarray) -> np.ndarray:
    """Number texts so that equal ones of a problem share a number, and no others do.

    Args:
        texts: array (n_problems, n) of strings.

    Returns:
        Array (n_problems, n) of integers from 0.
    """
    codes = pd.factorize(texts.ravel())[0].reshape(texts.shape)
    keyed = codes + np.arange(len(texts))[:, None] * (codes.max(initial=0) + 1)
    return pd.factorize(keyed.ravel())[0].reshape(texts.shape)


def distinct_tokens(tokens: np.ndarray, groups: np.ndarray, k: int) -> np.ndarray:
    """Tokens that a PRM reads when it scores each distinct text among k of n samples once.

    A text that m samples share is among the k with probability 1 - C(n - m, k) / C(n, k).

    Args:
        tokens: array (n_problems, n), tokens of each sample as the PRM reads it.
        groups: of `text_groups`.
        k: subset size.
    """
    shared = np.bincount(groups.ravel())[groups]
    seen = 1.0 - miss_probability(tokens.shape[1], k)[shared]
    return (tokens * seen / shared).sum(axis=1)


def pretraining_flops(parameters: float, tokens: float) -> float:
    """6·P·D: FLOPs of training P parameters on D tokens.

    Source: Kaplan et al. (2020), "Scaling laws for neural language models", section 2.1.
    """
    return 6.0 * parameters * tokens


def inference_flops(parameters: float, tokens: np.ndarray | float) -> np.ndarray | float:
    """2·P·T: FLOPs of P parameters generating or reading T tokens, from the same source."""
    return 2.0 * parameters * tokens
