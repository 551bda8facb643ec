"""Rules that look at all samples drawn, in their order: their own votes, and when to stop drawing.

A rule's function, `testtime.evaluate.methods.NAME.NAME`, takes `Drawn` and gives `Ballots`, or None
if the samples lack what it reads. Here it is followed over all orders in which k samples of a pool
can be drawn, or over random ones, as if each had been a run of its own: what it answers, how many
samples it drew and what they cost.

A rule that stops also has `rounds(n)` in its module: the numbers of samples after which it may.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import ceil

import numpy as np

from testtime.evaluate.depth import first_ones, in_rounds
from testtime.evaluate.estimators import Orders, choose_orders
from testtime.evaluate.pool import Samples
from testtime.evaluate.votes import TIE, Draws
from testtime.study.methods import Method
from testtime.study.speed import Depth

FEWER = 4  # times fewer orders than subsets of a vote


@dataclass(frozen=True)
class Drawn:
    """Samples of a problem in the orders in which they may be drawn, arrays (n_orders, k).

    Attributes:
        classes: of their answers, numbered from 0, -1 without an answer.
        tokens: of each, NaN where unknown.
        scores: by which the rule ranks them, none negative; None for a rule that does not.
        thought_tokens: of each one's thought, all of them where the policy does not think.
        forced: whether its thought was cut and its answer forced; None where that is not known.
        places: which sample of the pool it is.
        steps: of each sample of the pool the probabilities of its steps (geometric means over
            tokens; of a thought, of groups of tokens) and the tokens up to the end of each, two
            arrays; None where they are not known.
    """

    classes: np.ndarray
    tokens: np.ndarray
    scores: np.ndarray | None
    thought_tokens: np.ndarray
    forced: np.ndarray | None
    places: np.ndarray | None = None
    steps: Sequence[tuple[np.ndarray, np.ndarray]] | None = None

    @property
    def answered(self) -> np.ndarray:
        """Which have an answer."""
        return self.classes >= 0


@dataclass(frozen=True)
class Ballots:
    """How samples vote, and which were drawn.

    Attributes:
        weights: array (n_orders, k), none negative, 0 for a sample that does not vote.
        drawn: array (n_orders,), how many were drawn, the first of each order; None for all.
        tokens: array (n_orders, k), what each cost, if not all of its tokens.
    """

    weights: np.ndarray
    drawn: np.ndarray | None = None
    tokens: np.ndarray | None = None


@dataclass(frozen=True)
class Followed:
    """What a rule does, over its orders.

    Attributes:
        correct: expected correctness, array (n_problems, n_scorings).
        error: its Monte-Carlo standard error, 0 where all orders were followed.
        run_variance: of the correctness over runs with other samples.
        tokens: expected, array (n_problems,), as all of these.
        samples: expected number that were drawn.
        samples_sd: its standard deviation over orders.
        depth: of a rule that stops, whose rounds wait for each other; NaN for the others.
    """

    correct: np.ndarray
    error: np.ndarray
    run_variance: np.ndarray
    tokens: np.ndarray
    samples: np.ndarray
    samples_sd: np.ndarray
    depth: Depth


def follow(method: Method, samples: Samples, k: int, draws: Draws) -> Followed | None:
    """Follow a rule over orders of k of the n samples; None if they lack what it reads.

    Args:
        method: a rule.
        samples: the pool.
        k: most samples of a run.
        draws: how many orders, if there are too many for all: a quarter of its subsets, as each
            costs more than a vote; a problem's seed shuffles them.
    """
    n, least = samples.classes.shape[1], ceil(draws.subsets / FEWER)
    orders = choose_orders(n, k, least, seed=0, ordered=method.stops)
    # As in `votes.run_variance`: beyond half of the pool its orders are too alike. A variance needs
    # no more than half as many.
    again = choose_orders(n, k, ceil(least / 2), seed=0, replace=True) if 2 * k > n > 1 else None
    runs = []
    for i, seed in enumerate(draws.seeds):
        shuffle = np.random.default_rng(seed).permutation(n)
        found = _follow(method, samples, i, shuffle[orders.places])
        if found is None:
            return None
        correct, tokens, drawn = found
        chance = correct.mean(axis=0)
        if again is not None:
            chance = _follow(method, samples, i, shuffle[again.places])[0].mean(axis=0)
        costs = first_ones(tokens, drawn).sum(axis=1).mean(), drawn.mean(), drawn.std()
        depth = [np.nan] * 3
        if method.stops:
            depth = in_rounds(tokens, drawn, samples.prompt[i], rounds(method, k))
        runs.append((*_summarise(correct, orders), chance, *costs, *depth))
    columns = [np.array(values) for values in zip(*runs, strict=True)]
    correct, error, chance, *costs, steps, read, held = columns
    chance = chance.clip(0.0, 1.0)
    variance = chance * (1 - chance) if n > 1 else chance * np.nan
    depth = Depth(steps, read, held, np.ones(len(steps)))
    return Followed(correct, error, variance, *costs, depth)


def _follow(
    method: Method, samples: Samples, problem: int, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Correctness (n_orders, n_scorings), tokens (n_orders, k), and samples drawn (n_orders,)."""
    scores = samples.scores
    columns = [None] if scores is None else np.moveaxis(scores[problem], 1, 0)
    found = []
    # Classes of one problem, numbered without gaps.
    names, classes = np.unique(samples.classes[problem], return_inverse=True)
    classes = classes.reshape(-1) - int(names[0] < 0)
    right = np.zeros(classes.max(initial=-1) + 1)
    for group in range(len(right)):
        right[group] = samples.correct[problem][classes == group].mean()
    for column in columns:
        drawn = Drawn(
            classes[places],
            samples.tokens[problem][places],
            None if column is None else column[places],
            samples.thought_tokens[problem][places],
            None if samples.forced is None else samples.forced[problem][places],
            places,
            None if samples.steps is None else samples.steps[problem],
        )
        ballots = run(method, drawn)
        if ballots is None:
            return None
        found.append((_correctness(drawn.classes, ballots.weights, right), ballots))
    tokens = drawn.tokens if ballots.tokens is None else ballots.tokens
    counts = np.full(len(places), places.shape[1]) if ballots.drawn is None else ballots.drawn
    return np.stack([correct for correct, _ in found], axis=1), tokens, counts


def run(method: Method, drawn: Drawn) -> Ballots | None:
    """What a rule says about samples, None if they lack what it reads.

    Samples without an answer and those after the last that was drawn do not vote.
    """
    ballots = getattr(import_module(method.module), method.name)(drawn)
    if ballots is None:
        return None
    weights = np.where(drawn.answered, ballots.weights, 0.0)
    if ballots.drawn is not None:
        weights = weights * (np.arange(weights.shape[1]) < ballots.drawn[:, None])
    return Ballots(weights, ballots.drawn, ballots.tokens)


def rounds(method: Method, n: int) -> Sequence[int]:
    """The numbers of samples after which a rule may stop, n the last of them."""
    sizes = import_module(method.module).rounds(n) if method.stops else []
    return [*(size for size in sizes if size < n), n]


def stop_when(
    drawn: Drawn, sizes: Iterable[int], decided: Callable[[np.ndarray], np.ndarray]
) -> Ballots:
    """Every sample votes; drawing stops at the first size at which the counts decide.

    Args:
        drawn: the samples.
        sizes: ascending numbers of samples.
        decided: of counts by class, array (n, n_classes), whether to stop, array (n,).
    """
    n_orders, k = drawn.classes.shape
    counts = np.zeros((n_orders, max(drawn.classes.max(initial=0) + 1, 2)), dtype=np.int64)
    stops, going, done = np.full(n_orders, k), np.arange(n_orders), 0
    for size in sizes:
        if size > k or not len(going):
            break
        for place in range(done, size):
            group = drawn.classes[going, place]
            voting = group >= 0
            counts[going[voting], group[voting]] += 1
        over = decided(counts[going])
        stops[going[over]], going, done = size, going[~over], size
    return Ballots(np.ones((n_orders, k)), stops)


def class_totals(classes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums of values by class, (n_orders, n_classes); samples without an answer are left out."""
    n_orders, n_classes = len(classes), classes.max(initial=0) + 1
    places = classes + np.arange(n_orders)[:, None] * n_classes
    voting = classes >= 0
    totals = np.bincount(places[voting], values[voting], n_orders * n_classes)
    return totals.reshape(n_orders, n_classes)


def _correctness(classes: np.ndarray, weights: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of the class with most weight in each order, ties shared; 0 where none has a vote."""
    if not len(right) or not (weights > 0).any():
        return np.zeros(len(classes))
    totals = class_totals(classes, weights)
    best = totals.max(axis=1, keepdims=True)
    winners = (totals >= best * (1 - TIE)) & (totals > 0)
    return winners @ right[: totals.shape[1]] / np.maximum(winners.sum(axis=1), 1)


def _summarise(correct: np.ndarray, orders: Orders) -> tuple[np.ndarray, np.ndarray]:
    """Mean and Monte-Carlo error, (n_scorings,)."""
    if not orders.groups:
        return correct.mean(axis=0), np.zeros(correct.shape[1])
    groups = correct.reshape(orders.groups, -1, correct.shape[1]).mean(axis=1)
    return groups.mean(axis=0), groups.std(axis=0, ddof=1) / np.sqrt(orders.groups)
