"""Majority of the samples that ended their thoughts themselves."""

import numpy as np

from testtime.evaluate.rules import Ballots, Drawn


def unforced_majority(drawn: Drawn) -> Ballots | None:
    """A thought that is cut has no answer, and no token is spent on forcing one.

    What forced answers are worth is the difference to `majority`.
    """
    if drawn.forced is None:
        return None  # made elsewhere
    tokens = np.where(drawn.forced, drawn.thought_tokens, drawn.tokens)
    return Ballots((~drawn.forced).astype(float), tokens=tokens)
