"""One row per problem and strategy: expected correctness, tokens, FLOPs, seconds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.costs import inference_flops
from testtime.evaluate.pool import Draw, Weighting
from testtime.evaluate.rules import follow
from testtime.evaluate.samples import at_thinking, chain_draws, pool_draws, read_pools
from testtime.evaluate.trees import tree_draws
from testtime.evaluate.votes import Draws, expected_vote, run_variance
from testtime.study.seeds import derive
from testtime.study.speed import Depth, Speed
from testtime.study.types import Strategy
from testtime.study.vocabulary import ALL_VOTES, ALONE, NONE, OUTCOMES, STRATEGY


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings that determine the outcomes of one policy on one dataset.

    Attributes:
        parameters: weights of the policy, for FLOPs.
        prm_parameters: weights of each PRM.
        pool_budgets: numbers of samples k, at most the pool's n.
        search_budgets: numbers of candidates N, multiples of beam_width.
        methods: names in the registry.
        beam_width: M, paths that a subtree of a nested search expands.
        subsets: random subsets per problem, for votes without a formula.
        seed: of the study.
        greedy_cot: whether a single sample of CoT is the greedy one, which no other run changes.
        speeds: of the policy and the PRMs, by name; without one, what follows from it is missing.
    """

    dataset: str
    policy: str
    parameters: float
    prm_parameters: Mapping[str, float]
    pool_budgets: Sequence[int]
    search_budgets: Sequence[int]
    methods: Sequence[str]
    scorings: Sequence[str]
    votes: Sequence[str]
    beam_width: int
    subsets: int
    seed: int
    greedy_cot: bool = True
    speeds: Mapping[str, Speed] = field(default_factory=dict)

    def flops(self, prm: str, costs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute of the policy's tokens and of those that the PRM reads.

        Raises:
            UserError: the PRM's number of parameters is unknown.
        """
        flops = inference_flops(self.parameters, costs["policy_tokens"])
        if prm == NONE:
            return flops
        if prm not in self.prm_parameters:
            raise UserError(
                f"PRM {prm!r} has scores but no number of parameters; "
                f"known: {', '.join(sorted(self.prm_parameters)) or 'none'}"
            )
        return flops + inference_flops(self.prm_parameters[prm], costs["prm_tokens"])

    def alone(
        self, prm: str, costs: Mapping[str, np.ndarray], depth: Depth
    ) -> dict[str, np.ndarray | float]:
        """The columns ALONE: seconds of a run, and gigabytes of the policy's keys and values."""
        drawing, reading = self.speeds.get(self.policy), self.speeds.get(prm)
        if drawing is None:
            return dict.fromkeys(ALONE, np.nan)
        seconds = drawing.drawing_s(depth, costs["policy_tokens"])
        if prm != NONE:
            read = None if reading is None else reading.reading_s(depth, costs["prm_tokens"])
            seconds = seconds + (np.nan if read is None else read)
        return dict(zip(ALONE, (seconds, drawing.kv_gb(depth)), strict=True))


@dataclass(frozen=True)
class Outcome:
    """One strategy with one PRM at one budget, on every problem.

    Attributes:
        thinking: T, most tokens of a thought.
        budget: N.
        correct: expected correctness, 0 to 1, array (n_problems,).
        error: Monte-Carlo standard error of `correct`, 0 if it is exact.
        run_variance: of the correctness of one run, over runs with other samples, array
            (n_problems,); NaN where there was one run and no pool to resample.
        costs: column of the outcomes -> expectation, array (n_problems,).
        depth: of a run.
        samples: expected number of samples drawn; of a search, N.
        samples_sd: its standard deviation over runs.
    """

    strategy: Strategy
    prm: str
    thinking: int
    budget: int
    correct: np.ndarray
    error: np.ndarray
    run_variance: np.ndarray
    costs: Mapping[str, np.ndarray]
    depth: Depth
    samples: np.ndarray | float
    samples_sd: np.ndarray | float = 0.0


def evaluate_policy(
    generations: pd.DataFrame,
    scores: pd.DataFrame,
    searches: pd.DataFrame,
    grades: pd.DataFrame,
    settings: EvaluationSettings,
) -> pd.DataFrame:
    """Expected correctness and cost of every strategy of one policy on one dataset.

    Args:
        generations: one row per sample, with its block.
        scores: one row per sample of the pool and PRM; may be empty.
        searches: one row per path and pruned candidate, see `tree_draws`; may be empty.
        grades: one row per sample and path.
        settings: of the study, for this cell.

    Returns:
        Rows in the order of their keys, with the columns OUTCOMES. `attrs["notes"]` says, one line
        each, how large the Monte-Carlo error is, what could not be decided, and which methods had
        no data.

    Raises:
        UserError: a sample, score or grade is missing, or a budget is larger than its pool.
    """
    pools = list(read_pools(generations, grades))
    problem_ids = np.unique(generations["problem_id"].to_numpy(dtype=object))
    shared = {"methods": settings.methods, "scorings": settings.scorings}
    drawn = [
        *chain_draws(generations, grades, settings.methods),
        *[
            draw
            for thinking, *pool in pools
            for draw in pool_draws(
                *pool,
                at_thinking(scores, thinking),
                budgets=settings.pool_budgets,
                thinking=thinking,
                **shared,
            )
        ],
        *tree_draws(
            searches,
            grades,
            problem_ids=problem_ids,
            votes=settings.votes,
            budgets=settings.search_budgets,
            beam_width=settings.beam_width,
            **shared,
        ),
    ]
    seeds = [
        derive(settings.seed, settings.dataset, problem, settings.policy, "subsets")
        for problem in problem_ids
    ]
    draws = Draws(settings.subsets, np.array(seeds))
    outcomes = [outcome for draw in drawn for outcome in _outcomes(draw, settings, draws)]
    rows = pd.concat([_rows(o, problem_ids, settings) for o in outcomes], ignore_index=True)
    rows = rows.sort_values([*STRATEGY, "problem_id"], kind="stable", ignore_index=True)
    rows.attrs["notes"] = list(_notes(outcomes, grades, settings.methods))
    return rows[OUTCOMES]


def _outcomes(draw: Draw, settings: EvaluationSettings, draws: Draws) -> Iterator[Outcome]:
    """Every strategy of every method on one draw; all weightings share its random subsets."""
    voting = [w for w in draw.weightings if not w.method.rule]
    widths = [w.weights.shape[-1] if w.method.weighs else 0 for w in voting]
    weights = [w.weights for w in voting if w.method.weighs]
    stacked = np.concatenate(weights, axis=-1) if weights else None
    chosen: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    firsts = np.cumsum([0, *widths])[:-1]
    for weighting, first in zip(voting, firsts, strict=True):
        method, costs = weighting.method, weighting.costs
        scorings = method.scorings_of(settings.scorings)
        for strategy in method.strategies(settings.scorings, settings.votes):
            if (strategy.vote in ALL_VOTES) != draw.pruned:
                continue
            if strategy.vote not in chosen:
                greedy = settings.greedy_cot
                vote = ALL_VOTES.get(strategy.vote, strategy.vote)
                chosen[strategy.vote] = _choose(draw, stacked, vote, draws, greedy)
            # Without a scoring there is one column for all weightings.
            column = 0 if strategy.scoring == NONE else first + scorings.index(strategy.scoring)
            found = (values[:, column] for values in chosen[strategy.vote])
            spent = draw.thinking, draw.budget
            yield Outcome(strategy, weighting.prm, *spent, *found, costs, draw.depth, draw.budget)
    for weighting in draw.weightings:
        if weighting.method.rule:
            yield from _ruled(draw, weighting, settings, draws)


def _ruled(
    draw: Draw, weighting: Weighting, settings: EvaluationSettings, draws: Draws
) -> Iterator[Outcome]:
    """Every strategy of a rule on one draw; none if the samples lack what it reads."""
    samples = replace(draw.samples, scores=weighting.weights)
    done = follow(weighting.method, samples, draw.k, draws)
    if done is None:
        return
    costs = weighting.costs | {"policy_tokens": done.tokens}
    depth = done.depth if weighting.method.stops else draw.depth
    strategies = weighting.method.strategies(settings.scorings, settings.votes)
    for column, strategy in enumerate(strategies):
        found = (values[:, column] for values in (done.correct, done.error, done.run_variance))
        spent = draw.thinking, draw.budget
        drawn = done.samples, done.samples_sd
        yield Outcome(strategy, weighting.prm, *spent, *found, costs, depth, *drawn)


def _choose(
    draw: Draw, weights: np.ndarray | None, vote: str, draws: Draws, greedy: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected correctness, its error and its variance over runs, (n_problems, n_weightings)."""
    pool = draw.pool
    if vote == NONE:  # nothing to choose: any one of the paths
        correct = pool.correct.mean(axis=1, keepdims=True)
        if pool.n == 1:
            return correct, 0 * correct, np.full_like(correct, 0.0 if greedy else np.nan)
        variance = pool.correct.var(axis=1, ddof=1, keepdims=True)
        return correct, np.sqrt(variance / pool.n), variance
    if draw.runs:
        each = Draws(draws.subsets, np.repeat(draws.seeds, draw.runs))
        found, _ = expected_vote(pool.classes, pool.correct, weights, draw.k, vote, each)
        found = found.reshape(-1, draw.runs, found.shape[1])
        correct = found.mean(axis=1)
        unknown = np.full_like(correct, np.nan)
        return correct, 0 * correct, found.var(axis=1, ddof=1) if draw.runs > 1 else unknown
    made_of = pool.classes, pool.correct, weights, draw.k, vote, draws
    correct, error = expected_vote(*made_of)
    return correct, error, run_variance(correct, *made_of)


def _rows(outcome: Outcome, problem_ids: np.ndarray, settings: EvaluationSettings) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dataset": settings.dataset,
            "policy": settings.policy,
            "prm": outcome.prm,
            "method": outcome.strategy.method,
            "scoring": outcome.strategy.scoring,
            "vote": outcome.strategy.vote,
            "thinking": outcome.thinking,
            "budget": outcome.budget,
            "problem_id": problem_ids,
            "correct": outcome.correct,
            "run_variance": outcome.run_variance,
            "samples": outcome.samples,
            "samples_sd": outcome.samples_sd,
            **outcome.costs,
            "flops": settings.flops(outcome.prm, outcome.costs),
            **settings.alone(outcome.prm, outcome.costs, outcome.depth),
        }
    )


def _notes(
    outcomes: Sequence[Outcome], grades: pd.DataFrame, methods: Sequence[str]
) -> Iterator[str]:
    errors = [np.sqrt((o.error**2).sum()) / len(o.error) for o in outcomes]
    yield (
        f"Monte-Carlo standard error of an accuracy over all problems: at most {max(errors):.2g}; "
        f"0 (exact) for {sum(e == 0 for e in errors)} of {len(errors)} strategies"
    )
    undecided = int(grades["correct"].isna().sum())
    silent = int((grades["answer_class"] < 0).sum())
    yield (
        f"{len(grades)} paths graded: {undecided} could not be decided and count as wrong, "
        f"{silent} have no answer and do not vote"
    )
    for name in sorted(set(methods) - {o.strategy.method for o in outcomes}):
        yield f"{name}: not evaluated, this policy has no data for it"
