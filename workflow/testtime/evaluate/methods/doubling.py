"""Doubling: twice as many samples in every round, until the leading answer is ahead for sure."""

from collections.abc import Sequence

from testtime.evaluate.methods.adaptive_consistency import leads
from testtime.evaluate.rules import Ballots, Drawn, stop_when


def doubling(drawn: Drawn) -> Ballots:
    """The criterion of adaptive consistency after 1, 2, 4, 8, ... samples.

    Between looks, samples are drawn together: N samples take log2(N) rounds, not N, and the price
    is at most twice the samples. Each look is one more chance to stop too early, so fewer looks are
    also the safer ones. The majority wins.
    """
    return stop_when(drawn, rounds(drawn.classes.shape[1]), leads)


def rounds(n: int) -> Sequence[int]:
    """After 1, 2, 4, 8, ... samples."""
    return [2**i for i in range(n.bit_length())]
