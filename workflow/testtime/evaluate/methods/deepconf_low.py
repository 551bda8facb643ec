"""DeepConf: only the most confident samples vote, weighted by their confidence."""

from math import ceil

import numpy as np

from testtime.evaluate.rules import Ballots, Drawn


def deepconf_low(drawn: Drawn) -> Ballots:
    """The most confident tenth of the samples, at least one, votes by its confidence.

    Source: Fu et al. (2025), "Deep think with confidence", arXiv 2508.15260, section 3.2, offline,
    eta = 10 %. Confidence is that of `confidence`: over the whole sample ("avg"), its worst step or
    group of 64 tokens of a thought ("min", their lowest group), or its last ("last", their tail);
    theirs is of the likeliest tokens, ours of the drawn ones.
    """
    return most_confident(drawn, 0.1)


def most_confident(drawn: Drawn, share: float) -> Ballots:
    """That share of the samples with an answer, rounded up, votes by confidence; ties are in."""
    scores = np.where(drawn.answered, drawn.scores, -np.inf)
    voters = drawn.answered.sum(axis=1)
    kept = np.array([ceil(round(share * n, 9)) for n in range(scores.shape[1] + 1)])[voters]
    ranked = -np.sort(-scores, axis=1)
    least = np.take_along_axis(ranked, np.maximum(kept - 1, 0)[:, None], axis=1)
    return Ballots(np.where(scores >= least, drawn.scores, 0.0))
