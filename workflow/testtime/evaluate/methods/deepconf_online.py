"""DeepConf online: samples that turn unconfident are given up, and drawing stops at a consensus."""

from collections.abc import Sequence

import numpy as np

from testtime.evaluate.rules import Ballots, Drawn

WARM_UP = 16  # samples that are drawn whole, as the authors have it
KEPT = 0.1  # share of them that is confident enough (their "low")
CONSENSUS = 0.95  # share of the votes' weight at which the leader has won


def deepconf_online(drawn: Drawn) -> Ballots | None:
    """Give up a sample when its confidence falls below what a tenth of the first ones keep.

    The first 16 samples are drawn whole. The threshold is such that a tenth of them have no step
    (group of 64 tokens of a thought) below it. A later sample is given up after its first step
    below; it costs the tokens so far. Those that are above vote by their worst step, and drawing
    stops when the leader has 95 % of the weight. Source: Fu et al. (2025), arXiv 2508.15260,
    section 3.3 (online, eta = 10 %); confidence is that of `confidence`.
    """
    if drawn.steps is None:
        return None
    worst = np.array([steps.min(initial=1.0) if len(steps) else 0.0 for steps, _ in drawn.steps])
    lowest, k = worst[drawn.places], drawn.places.shape[1]
    first = min(WARM_UP, k)
    thresholds = np.quantile(lowest[:, :first], 1 - KEPT, axis=1)
    weights = np.where((lowest >= thresholds[:, None]) & drawn.answered, lowest, 0.0)
    tokens = drawn.tokens.copy()
    if k > first:
        tokens[:, first:] = _spent(drawn, thresholds, first)
    return Ballots(weights, _consensus(drawn.classes, weights, first), tokens)


def rounds(n: int) -> Sequence[int]:
    """After the first ones, and after every sample that follows."""
    return range(WARM_UP, n + 1)


def _spent(drawn: Drawn, thresholds: np.ndarray, first: int) -> np.ndarray:
    """Tokens of the samples after the first ones, up to where each is given up."""
    tokens, places = drawn.tokens[:, first:].copy(), drawn.places[:, first:]
    orders = np.repeat(np.arange(len(places)), places.shape[1])
    by_sample = np.argsort(places, axis=None, kind="stable")
    counts = np.bincount(places.ravel(), minlength=len(drawn.steps))
    for (steps, ends), where in zip(
        drawn.steps, np.split(by_sample, np.cumsum(counts)[:-1]), strict=True
    ):
        if len(steps) and len(where):
            below = np.searchsorted(
                -np.minimum.accumulate(steps), -thresholds[orders[where]], side="right"
            )
            given_up = below < len(steps)
            tokens.ravel()[where[given_up]] = ends[below[given_up]]
    return tokens


def _consensus(classes: np.ndarray, weights: np.ndarray, first: int) -> np.ndarray:
    """After how many samples the leader has its share of the weight, (n_orders,); k if never."""
    n_orders, k = classes.shape
    totals = np.zeros((n_orders, classes.max(initial=0) + 1))
    stops, going = np.full(n_orders, k), np.arange(n_orders)
    for place in range(k):
        group = np.maximum(classes[going, place], 0)  # a sample without an answer weighs nothing
        totals[going, group] += weights[going, place]
        if place + 1 >= first:
            held = totals[going]
            whole = held.sum(axis=1)
            over = (held.max(axis=1) >= CONSENSUS * whole) & (whole > 0)
            stops[going[over]], going = place + 1, going[~over]
    return stops
