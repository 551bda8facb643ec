"""Apply a fitted lookup to new problems: draw a few samples, predict difficulty, choose, run.

Nothing here knows an answer; what is spent is counted, and never exceeds the budget.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from testtime.evaluate.costs import inference_flops
from testtime.evaluate.difficulty import levels
from testtime.evaluate.rules import rounds
from testtime.fit.cells import describe
from testtime.fit.predict import predict, probe_features
from testtime.runtime.progress import progress
from testtime.search.run import SearchSettings, search_problems
from testtime.solve.answer import as_frame, choose_answer, decides
from testtime.solve.draw import Drawn, Models, draw, read_by_prm, with_classes
from testtime.study.methods import METHODS
from testtime.study.types import Problem
from testtime.study.vocabulary import ALL, ALL_VOTES, COSTS, MAJORITY, NONE


def solve(
    models: Models,
    problems: Sequence[Problem],
    plan: dict,
    predictor: dict | None = None,
    *,
    easy: float,
    hard: float,
) -> list[dict]:
    """Answer every problem by the plan.

    Args:
        models: loaded engines and their specs.
        problems: without answers.
        plan: one of the lookup's, see `fit.plans`.
        predictor: of the same context; needed if the plan draws samples first.
        easy: threshold of the levels.
        hard: threshold of the levels.

    Returns:
        Per problem, in order: problem_id, answer (None if no path has one), predicted_pass_at_1 and
        difficulty (None if not predicted), strategy (in words), samples (drawn or searched for, in
        the unit of the budget), policy_tokens, prm_tokens, flops.
    """
    names = [problem.problem_id for problem in problems]
    first, predicted = None, dict.fromkeys(names)
    choices = dict.fromkeys(names, plan["choices"].get(ALL))
    level_of = dict.fromkeys(names)
    if plan["n_probe"]:
        reads_prm = any(name.startswith("prm_") for name in predictor["features"])
        first = draw(models, problems, 0, plan["n_probe"], scored=reads_prm)
        features = probe_features(with_classes(first.rows, models.convention, models.workers))
        values = predict(predictor, features)
        predicted = dict(zip(features.index, values.tolist(), strict=True))
        found = levels(values, easy=easy, hard=hard)
        level_of = dict(zip(features.index, found, strict=True))
        choices = {name: plan["choices"][level_of[name]] for name in names}
    answers: dict[str, dict] = {}
    for strategy in _distinct(choices.values()):
        mine = [problem for problem in problems if choices[problem.problem_id] == strategy]
        answers |= run_strategy(models, mine, strategy, first, plan["n_probe"])
    return [
        {
            "problem_id": name,
            "answer": answers[name]["answer"],
            "predicted_pass_at_1": predicted[name],
            "difficulty": level_of[name],
            "strategy": describe(choices[name]),
        }
        | {key: answers[name][key] for key in ("samples", *COSTS)}
        for name in names
    ]


def _distinct(strategies: Iterable[dict]) -> list[dict]:
    found: list[dict] = []
    for strategy in strategies:
        if strategy not in found:
            found.append(strategy)
    return found


def summary(rows: Sequence[dict], plan: dict) -> str:
    """What was spent on average and the accuracy that the study expects, in a few lines."""
    means = {key: float(np.mean([row[key] for row in rows])) for key in ("samples", *COSTS)}
    chosen = pd.Series([row["strategy"] for row in rows]).value_counts()
    lines = [
        f"{len(rows)} problems, N = {plan['budget']}: spent {means['samples']:.1f} samples, "
        f"{means['policy_tokens']:,.0f} generated tokens, {means['prm_tokens']:,.0f} tokens read "
        f"by the PRM, {means['flops']:.3g} FLOPs per problem",
        f"expected accuracy {100 * plan['accuracy']:.1f} % "
        f"({100 * plan['ci_low']:.1f} to {100 * plan['ci_high']:.1f} %)",
    ]
    order = sorted(chosen.items(), key=lambda item: (-item[1], item[0]))
    return "\n".join([*lines, *(f"{count} by {name}" for name, count in order)])


def run_strategy(
    models: Models,
    problems: Sequence[Problem],
    strategy: dict,
    first: Drawn | None,
    n_first: int,
) -> dict[str, dict]:
    """Answers and costs of one strategy on some problems.

    Args:
        models: loaded engines.
        problems: those it was chosen for.
        strategy: method, scoring, vote, prm, thinking, budget.
        first: samples drawn before, which count and from which strategies of the pool continue.
        n_first: their number per problem.

    Returns:
        problem_id -> answer, samples, policy_tokens, prm_tokens, flops.
    """
    method, n = METHODS[strategy["method"]], strategy["budget"]
    spent = {p.problem_id: {"policy_tokens": 0, "prm_tokens": 0} for p in problems}
    if first is not None:
        _pay(spent, first)
    if method.kind == "search":
        pruned = strategy["vote"] in ALL_VOTES
        paths = _search(models, problems, method.name, n, spent, pruned=pruned)
    elif method.stops:
        paths = _draw_rounds(models, problems, strategy, spent)
    else:
        greedy = method.kind == "greedy"
        start, thinking = 0 if greedy else n_first, strategy["thinking"]
        drawn = draw(
            models, problems, start, n, scored=method.needs_prm, greedy=greedy, thinking=thinking
        )
        _pay(spent, drawn)
        paths = drawn.rows
        if not greedy and first is not None:
            before = first.rows[first.rows["problem_id"].isin(spent)]
            if method.needs_prm and "scores" not in before:
                before, read = read_by_prm(models, problems, before)
                _add(spent, "prm_tokens", read)
            paths = pd.concat([before, paths], ignore_index=True)
    own = dict(list(paths.groupby("problem_id")))
    vote = strategy["vote"] if strategy["vote"] != NONE else MAJORITY
    return {
        name: {
            "answer": choose_answer(
                own.get(name, paths.head(0)),
                method.name,
                strategy["scoring"],
                vote,
                convention=models.convention,
                workers=models.workers,
            ),
            "samples": len(own[name]) if method.kind == "pool" else n_first + n,
            **cost,
            "flops": _flops(models, cost),
        }
        for name, cost in spent.items()
    }


def _draw_rounds(
    models: Models, problems: Sequence[Problem], strategy: dict, spent: dict[str, dict]
) -> pd.DataFrame:
    """Samples in rounds, of each problem until its answers decide."""
    method, going, start, rounds_drawn = METHODS[strategy["method"]], list(problems), 0, []
    for size in rounds(method, strategy["budget"]):
        drawn = draw(models, going, start, size, scored=False, thinking=strategy["thinking"])
        _pay(spent, drawn)
        rounds_drawn.append(drawn.rows)
        rows, start = pd.concat(rounds_drawn, ignore_index=True), size
        undecided = rows[rows["problem_id"].isin([p.problem_id for p in going])]
        classes = with_classes(undecided, models.convention, models.workers)
        own = dict(list(classes.groupby("problem_id")))
        going = [p for p in going if not decides(method, own[p.problem_id], strategy["budget"])]
        if not going:
            break
    return rows


def _search(
    models: Models,
    problems: Sequence[Problem],
    method: str,
    budget: int,
    spent: dict[str, dict],
    *,
    pruned: bool,
) -> pd.DataFrame:
    """The paths of a search, with the finished candidates that it pruned if they vote too."""
    settings = SearchSettings.of(
        models.spec,
        method,
        budget,
        beam_width=models.beam_width,
        seed_parts=(*models.seed_parts, models.prm_spec.name),
        ends_at=models.ends_at,
    )
    with progress(len(problems), f"{method} of {models.spec.name}") as bar:
        results = search_problems(models.policy, models.prm, problems, settings, progress=bar)
        results = sorted(results, key=lambda result: (result.problem_id, result.subtree))
    for result in results:
        spent[result.problem_id]["policy_tokens"] += result.policy_tokens
        spent[result.problem_id]["prm_tokens"] += result.prm_tokens
    found = [(r.problem_id, (*r.paths, *(r.pruned if pruned else ()))) for r in results]
    frames = [as_frame(paths).assign(problem_id=name) for name, paths in found]
    return pd.concat(frames, ignore_index=True)


def _pay(spent: dict[str, dict], drawn: Drawn) -> None:
    _add(spent, "policy_tokens", drawn.policy_tokens)
    _add(spent, "prm_tokens", drawn.prm_tokens)


def _add(spent: dict[str, dict], kind: str, tokens: pd.Series) -> None:
    for name, count in tokens.items():
        if name in spent:
            spent[name][kind] += int(count)


def _flops(models: Models, cost: dict) -> float:
    flops = inference_flops(models.spec.parameters, cost["policy_tokens"])
    if models.prm_spec is not None:
        flops += inference_flops(models.prm_spec.parameters, cost["prm_tokens"])
    return float(flops)
