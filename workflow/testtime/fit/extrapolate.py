"""What more samples would show: Pass@k and majority votes of more samples than were drawn.

Few samples say little about a problem that none of them solved, but the problems together say how
chances of success are distributed, and the left tail of that distribution is what Pass@k at large k
depends on. A problem's chance p is 0 with probability z, else logit p = m + s logit u with u from
Beta(a, b): a beta distribution, stretched in log odds by s, whose tail goes as p^(a/s); large a and
b make it log-normal. These five are not held at their best values but drawn from their posterior
under weak priors, and each problem's chance from its own given its count (empirical Bayes): it is
the tail that they are unsure of, so intervals widen with k/n.

The problems are fixed: an interval is for these problems under new samples, not for other ones.

Sources: Schaeffer et al. (2025), "How do large language monkeys get their power (laws)?", arXiv
2502.17578; Kazdan et al. (2025), "Efficient prediction of pass@k scaling in large language models",
arXiv 2510.05197, who fit a beta-binomial; Goodman and Weare (2010), "Ensemble samplers with affine
invariance", for the draws; Pitman (2006), "Combinatorial stochastic processes", section 3.2, for
wrong answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln, logsumexp, ndtri

from testtime.errors import UserError
from testtime.evaluate.estimators import miss_probability
from testtime.evaluate.votes import Draws, majority_vote

DRAWS = 1000  # of the distribution of chances, for Pass@k
VOTE_DRAWS = 400  # and for votes, which are cast in each
LOG_ODDS = np.linspace(-18, 18, 217)
CHANCES = expit(LOG_ODDS)
# Weak priors, middle and spread: of log a, log b, m, log s; the logit of z starts there, and its
# prior is ZERO, a beta distribution.
MIDDLE = np.array([0.0, 0.0, -2.0, 0.0, -3.0])[:, None]
SPREAD = np.array([1.0, 1.0, 3.0, 0.5, 2.0])[:, None]
ZERO = 0.5, 3.0
STARTS, WALKERS, BURN_IN, THIN = 4000, 100, 150, 6
HALVES = slice(0, None, 2), slice(1, None, 2)  # of the walkers, which move by turns
# Discounts and strengths of which the likeliest describes how wrong answers spread.
SPREADS = [(d, t) for d in np.linspace(0.02, 0.98, 33) for t in np.geomspace(0.02, 2000, 31)]
TINY = 1e-300  # keeps logarithms finite
FAR = 5  # standard errors by which an answer is out of the running
PROBLEMS = 250  # whose votes are cast together, for memory


@dataclass(frozen=True)
class Forecast:
    """Expected values at each k, with intervals; the problems are fixed.

    Attributes:
        value: the mean over problems, (n_ks,).
        low: its interval's low end.
        high: its interval's high end.
        gain: what is expected beyond the first k, as if its samples were drawn anew too.
        gain_low: its interval's low end.
        gain_high: its interval's high end.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    gain: np.ndarray
    gain_low: np.ndarray
    gain_high: np.ndarray


@dataclass(frozen=True)
class Shapes:
    """Draws of how chances of success are distributed over problems.

    Attributes:
        density: of those above 0, the probability of each of CHANCES, (n_chances, n_draws).
        zero: share of problems without any chance, (n_draws,).
    """

    density: np.ndarray
    zero: np.ndarray


def forecast_pass(
    right: np.ndarray,
    samples: np.ndarray | int,
    ks: Sequence[int],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Forecast:
    """Pass@k, the mean over problems of 1 - (1 - p)^k, for any k.

    A problem that has k samples counts by the unbiased estimate, every other one by its posterior;
    a larger k has no smaller value.

    Args:
        right: right samples of each problem, integers (n_problems,).
        samples: of each problem, or of all alike.
        ks: ascending; the first is what gains are compared with.
        level: coverage of the intervals.
        seed: of the draws.

    Raises:
        UserError: counts or ks that cannot be.
    """
    right, samples = _checked(right, samples, ks)
    rng = np.random.default_rng(seed)
    chances = draw_chances(fit_shapes(right, samples, rng), right, samples, rng)
    drawn, values = np.empty((len(ks), DRAWS)), np.empty(len(ks))
    with np.errstate(divide="ignore"):
        misses = np.log1p(-chances)
    for i, k in enumerate(ks):
        passed = -np.expm1(k * misses)
        drawn[i] = passed.mean(axis=1)
        values[i] = np.where(samples >= k, _exact(right, samples, k), passed.mean(axis=0)).mean()
    ends = [(1 - level) / 2, (1 + level) / 2]
    gains = drawn - drawn[0]
    value = np.maximum.accumulate(values)
    low, high = np.quantile(drawn, ends, axis=1)
    gain_low, gain_high = np.quantile(gains, ends, axis=1)
    return Forecast(
        value,
        np.minimum(low, value),
        np.maximum(high, value),
        gains.mean(axis=1),
        gain_low,
        gain_high,
    )


def forecast_majority(
    classes: np.ndarray,
    correct: np.ndarray,
    ks: Sequence[int],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Forecast:
    """Accuracy of a majority vote of k samples, for k of at least the pool's n.

    The right answer has the share p of a problem's samples, drawn as for Pass@k, so that one which
    was rarely or never drawn may still win. Wrong answers share the rest as the samples did, by a
    Bayesian bootstrap that leaves a part, found from all problems, to answers that were not drawn
    yet, none of which wins. A vote of ever more samples goes to the mode, and which answer that is
    stays unsure where the leading ones are close.

    At k = n it is the vote of the pool.

    Args:
        classes: array (n_problems, n) of class numbers, -1 without an answer.
        correct: array (n_problems, n), 0 or 1; right answers are taken for one class.
        ks: ascending; the first is what gains are compared with.
        level: coverage of the intervals.
        seed: of the draws.

    Raises:
        UserError: a k below n.
    """
    n = classes.shape[1]
    if min(ks) < n:
        raise UserError(f"forecast of a vote of {min(ks)} samples; allowed: {n}, the pool, or more")
    right = np.rint(correct.sum(axis=1)).astype(int)
    right, samples = _checked(right, n, ks)
    rng = np.random.default_rng(seed)
    chances = draw_chances(fit_shapes(right, samples, rng), right, samples, rng)[:VOTE_DRAWS]
    rivals, others = _rivals(_wrong(classes, correct), right, samples - right)
    # Two votes of each draw: their covariance over draws is the variance of the chance to win.
    votes, shared = np.zeros((len(ks), 2, VOTE_DRAWS)), np.zeros(len(ks))
    for start in range(0, len(right), PROBLEMS):
        part = slice(start, start + PROBLEMS)
        won = _vote(chances[:, part], rivals[part], others[part], ks, rng)
        votes += won.sum(axis=-1) / len(right)
        shared += _shared(won - won[0]).sum(axis=-1) / len(right) ** 2
    value, z = votes.mean(axis=(1, 2)), ndtri((1 + level) / 2)
    gain, half = value - value[0], z * np.sqrt(_shared(votes).clip(0))
    # A gain is small beside the luck of single votes, so its problems are taken one by one.
    gain_half = z * np.sqrt(shared.clip(0))
    low, high = (value - half).clip(0.0, 1.0), (value + half).clip(0.0, 1.0)
    if ks[0] == n:
        nothing_drawn = Draws(1, np.zeros(len(right)))
        value[0] = majority_vote(classes, correct, n, nothing_drawn)[0].mean()
    return Forecast(
        value,
        np.minimum(low, value),
        np.maximum(high, value),
        gain,
        gain - gain_half,
        gain + gain_half,
    )


def fit_shapes(right: np.ndarray, samples: np.ndarray, rng: np.random.Generator) -> Shapes:
    """Draws of the distribution of chances, given the counts of all problems, c right of n each.

    Draws of the prior, weighted by the likelihood, are where the walkers start; a walker's next
    place is on the line through its own and another one's.

    Returns:
        DRAWS draws, of WALKERS walkers.
    """
    counts, times = np.unique(np.stack([right, samples]), axis=1, return_counts=True)
    table, none = _likelihood(*counts), counts[0] == 0

    def density(places: np.ndarray) -> np.ndarray:
        likely = table @ np.exp(_log_shape(places)) + TINY
        solvable = np.log(likely) - np.logaddexp(0, places[4])
        hopeless = np.where(none[:, None], -np.logaddexp(0, -places[4]), -np.inf)
        return _log_prior(places) + times @ np.logaddexp(solvable, hopeless)

    starts = MIDDLE + SPREAD * rng.standard_normal((len(MIDDLE), STARTS))
    found = density(starts)
    weights = np.exp(found - found.max())
    chosen = rng.choice(STARTS, WALKERS, p=weights / weights.sum())
    places = starts[:, chosen] + 0.05 * SPREAD * rng.standard_normal((len(MIDDLE), WALKERS))
    now, kept = density(places), []
    for step in range(BURN_IN + THIN * (DRAWS // WALKERS)):
        for moving, still in (HALVES, HALVES[::-1]):
            others = places[:, still][:, rng.integers(WALKERS // 2, size=WALKERS // 2)]
            stretch = (1 + rng.random(WALKERS // 2)) ** 2 / 2  # between 1/2 and 2
            proposed = others + stretch * (places[:, moving] - others)
            then = density(proposed)
            ratio = (len(MIDDLE) - 1) * np.log(stretch) + then - now[moving]
            taken = np.log(rng.random(WALKERS // 2)) < ratio
            places[:, moving] = np.where(taken, proposed, places[:, moving])
            now[moving] = np.where(taken, then, now[moving])
        if step >= BURN_IN and (step - BURN_IN) % THIN == 0:
            kept.append(places.copy())
    places = np.concatenate(kept, axis=1)
    return Shapes(np.exp(_log_shape(places)), expit(places[4]))


def draw_chances(
    shapes: Shapes, right: np.ndarray, samples: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A chance of success per draw and problem, given the problem's count.

    Returns:
        Array (n_draws, n_problems).
    """
    counts, which = np.unique(np.stack([right, samples]), axis=1, return_inverse=True)
    chances = np.empty((len(shapes.zero), len(right)))
    for i, likelihood in enumerate(_likelihood(*counts)):
        own = np.flatnonzero(which == i)
        solvable = shapes.density * likelihood[:, None] * (1 - shapes.zero)
        below = np.cumsum(solvable, axis=0)
        hopeless = shapes.zero * (counts[0, i] == 0)
        place = rng.random((len(own), len(shapes.zero))) * (below[-1] + hopeless) - hopeless
        for problem, reached in zip(own, place, strict=True):
            chances[:, problem] = np.where(
                reached < 0, 0.0, CHANCES[(below < reached).sum(axis=0).clip(max=len(CHANCES) - 1)]
            )
    return chances


def _log_prior(places: np.ndarray) -> np.ndarray:
    normal = (((places - MIDDLE) / SPREAD)[:4] ** 2).sum(axis=0)
    fewest, most = ZERO
    share = -fewest * np.logaddexp(0, -places[4]) - most * np.logaddexp(0, places[4])
    return share - 0.5 * normal


def _log_shape(places: np.ndarray) -> np.ndarray:
    """Log probability of every one of CHANCES at each place, (n_chances, n_places)."""
    a, b, scale = np.exp(places[0]), np.exp(places[1]), np.exp(places[3])
    odds = (LOG_ODDS[:, None] - places[2]) / scale
    logs = -a * np.logaddexp(0, -odds) - b * np.logaddexp(0, odds)
    return logs - logsumexp(logs, axis=0)


def _likelihood(right: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Of each count at every one of CHANCES, up to a factor, (n_counts, n_chances)."""
    right, wrong = right[:, None], (samples - right)[:, None]
    logs = -right * np.logaddexp(0, -LOG_ODDS) - wrong * np.logaddexp(0, LOG_ODDS)
    return np.exp(logs - logs.max(axis=1, keepdims=True) * (right > 0))


def _exact(right: np.ndarray, samples: np.ndarray, k: int) -> np.ndarray:
    """Unbiased Pass@k of the problems that have k samples; NaN of others."""
    values = np.full(len(right), np.nan)
    for n in np.unique(samples[samples >= k]):
        own = samples == n
        values[own] = 1.0 - miss_probability(int(n), k)[right[own]]
    return values


def _checked(right: np.ndarray, samples: np.ndarray | int, ks: Sequence[int]) -> tuple:
    """The counts as integer arrays of one shape.

    Raises:
        UserError: counts or ks that cannot be.
    """
    right, samples = np.broadcast_arrays(np.asarray(right), np.asarray(samples))
    right, samples = right.astype(np.int64), samples.astype(np.int64)
    wrong = np.flatnonzero((right < 0) | (right > samples) | (samples < 1))
    if len(right) == 0 or len(wrong):
        found = f"{right[wrong[0]]} of {samples[wrong[0]]} right" if len(wrong) else "no problem"
        raise UserError(f"forecast from {found}; allowed: problems with 0 to n of n >= 1 right")
    if len(ks) == 0 or min(ks) < 1 or sorted(set(ks)) != list(ks):
        raise UserError(f"forecast for k = {list(ks)}; allowed: ascending numbers from 1")
    return right, samples


def fit_spread(counts: Sequence[np.ndarray]) -> tuple[float, float]:
    """How wrong answers spread: discount d and strength t of a Pitman-Yor process.

    The next wrong answer is one seen c times with a chance in proportion to c - d, and a new one in
    proportion to t + d for each seen. The pair of SPREADS that makes all counts likeliest.

    Args:
        counts: samples of each distinct wrong answer, one array per problem.
    """
    sizes = np.array([own.sum() for own in counts if len(own)])
    numbers = np.array([len(own) for own in counts if len(own)])
    if not len(sizes):
        return SPREADS[0]
    values, times = np.unique(np.concatenate(list(counts)), return_counts=True)
    best = [
        (numbers * np.log(d) + gammaln(t / d + numbers) - gammaln(t / d)).sum()
        - (gammaln(t + sizes) - gammaln(t)).sum()
        + times @ (gammaln(values - d) - gammaln(1 - d))
        for d, t in SPREADS
    ]
    return SPREADS[int(np.argmax(best))]


def _wrong(classes: np.ndarray, correct: np.ndarray) -> list[np.ndarray]:
    """Samples of each wrong answer of each problem, the most frequent first."""
    wrong = np.where(correct > 0, -1, classes)
    return [np.sort(np.unique(row[row >= 0], return_counts=True)[1])[::-1] for row in wrong]


def _rivals(
    counts: list[np.ndarray], right: np.ndarray, wrong: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the wrong answers that may win, and of all that remains after each.

    Those that have FAR standard errors fewer samples than the most frequent answer cannot win.

    Args:
        counts: of `_wrong`.
        right: right samples, (n_problems,).
        wrong: all others, with or without an answer.

    Returns:
        Two arrays (n_problems, most); a weight of 0 where a problem has fewer rivals.
    """
    discount, strength = fit_spread(counts)
    found = []
    for own, most in zip(counts, right, strict=True):
        leading = max(most, own.max(initial=0))
        found.append(own[leading - own <= FAR * np.sqrt(leading + own)])
    rivals = np.zeros((len(found), max(map(len, found))))
    for row, own in zip(rivals, found, strict=True):
        row[: len(own)] = own - discount
    return rivals, (wrong + strength)[:, None] - np.cumsum(rivals, axis=1)


def _vote(
    chances: np.ndarray,
    rivals: np.ndarray,
    others: np.ndarray,
    ks: Sequence[int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Whether the right answer wins; tied answers share.

    Answers get their votes one after the other: each a share of what those before it have left,
    and of these votes binomially many. What is left in the end did not vote, or for no rival.

    Args:
        chances: the right answer's share of votes, (n_draws, n_problems).
        rivals: of `_rivals`.
        others: the same.
        ks: votes.
        rng: of the draws.

    Returns:
        Array (n_ks, 2, n_draws, n_problems): two votes from the same shares of answers.
    """
    shape = (len(ks), 2, *chances.shape)
    votes = np.broadcast_to(np.reshape(ks, (-1, 1, 1, 1)), shape)
    own = rng.binomial(votes, chances)
    left, most, tied = votes - own, np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
    for weights, rest in zip(rivals.T, others.T, strict=True):
        here = np.flatnonzero(weights)
        shares = rng.beta(weights[here], np.maximum(rest[here], TINY), (len(chances), len(here)))
        got = rng.binomial(left[..., here], shares)
        left[..., here] -= got
        before = most[..., here]
        tied[..., here] = np.where(got > before, 1, tied[..., here] + (got == before))
        most[..., here] = np.maximum(before, got)
    return np.where(own > most, 1.0, np.where((own == most) & (own > 0), 1 / (1 + tied), 0.0))


def _shared(votes: np.ndarray) -> np.ndarray:
    """Covariance over draws of pairs of votes, (n_ks, 2, n_draws, ...) -> (n_ks, ...)."""
    middle = votes - votes.mean(axis=2, keepdims=True)
    return (middle[:, 0] * middle[:, 1]).sum(axis=1) / (votes.shape[2] - 1)
