"""DeepConf with a wide filter: only the least confident samples do not vote."""

from testtime.evaluate.methods.deepconf_low import most_confident
from testtime.evaluate.rules import Ballots, Drawn


def deepconf_high(drawn: Drawn) -> Ballots:
    """As `deepconf_low`, with the most confident nine tenths (eta = 90 %)."""
    return most_confident(drawn, 0.9)
