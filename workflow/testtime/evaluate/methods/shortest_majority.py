"""Shortest majority vote: an answer counts for more if its samples are short."""

import numpy as np

from testtime.evaluate.rules import Ballots, Drawn, class_totals

SHORTEST = 2.0  # tokens; the logarithm of fewer is no length to divide by


def shortest_majority(drawn: Drawn) -> Ballots | None:
    """An answer's votes over the logarithm of the mean length of its samples, in tokens.

    Source: Zeng et al. (2025), "Revisiting the test-time scaling of o1-like models",
    arXiv 2502.12215, section 5.
    """
    if np.isnan(drawn.tokens).any():
        return None  # made elsewhere, of unknown length
    tokens = class_totals(drawn.classes, drawn.tokens)
    votes = class_totals(drawn.classes, np.ones(drawn.classes.shape))
    lengths = tokens / np.maximum(votes, 1)
    each = 1 / np.log(np.maximum(lengths, SHORTEST))
    return Ballots(np.take_along_axis(each, np.maximum(drawn.classes, 0), axis=1))
