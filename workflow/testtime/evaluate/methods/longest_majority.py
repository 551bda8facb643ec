"""Longest majority vote: only the longer samples vote."""

import numpy as np

from testtime.evaluate.rules import Ballots, Drawn


def longest_majority(drawn: Drawn) -> Ballots | None:
    """The majority of the longer half of the samples with an answer, in tokens; ties are in.

    Source: the complexity-based consistency of Fu et al. (2022), "Complexity-based prompting for
    multi-step reasoning", arXiv 2210.00720, section 3.2, which takes the samples with most steps.
    """
    if np.isnan(drawn.tokens).any():
        return None  # made elsewhere, of unknown length
    tokens = np.where(drawn.answered, drawn.tokens, -np.inf)
    kept = (drawn.answered.sum(axis=1) + 1) // 2
    ranked = -np.sort(-tokens, axis=1)
    least = np.take_along_axis(ranked, np.maximum(kept - 1, 0)[:, None], axis=1)
    return Ballots((tokens >= least).astype(float))
