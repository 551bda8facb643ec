"""Apply a fitted lookup to new problems: draw a few samples, predict difficulty, choose, run.

Nothing here knows an answer; what is spent is counted, and never more than the budget.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.evaluate.difficulty import levels
from testtime.fit.cells import describe
from testtime.fit.predict import predict, probe_features
from testtime.solve.draw import Models, draw, with_classes
from testtime.solve.run import run_strategy
from testtime.study.types import Problem

__all__ = ["Models", "solve", "summary"]


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
        predictor: of the same context; needed where the plan draws samples first.
        easy: threshold of the levels.
        hard: threshold of the levels.

    Returns:
        Per problem, in order: problem_id, answer (None where no path has one), predicted_pass_at_1
        and difficulty (None where it was not asked), strategy (in words), samples (drawn or
        searched for, in the unit of the budget), policy_tokens, prm_tokens, flops.
    """
    names = [problem.problem_id for problem in problems]
    first, predicted = None, dict.fromkeys(names)
    choices = dict.fromkeys(names, plan["choices"].get("all"))
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
        | {key: answers[name][key] for key in ("samples", "policy_tokens", "prm_tokens", "flops")}
        for name in names
    ]


def _distinct(strategies: object) -> list[dict]:
    found: list[dict] = []
    for strategy in strategies:
        if strategy not in found:
            found.append(strategy)
    return found


def summary(rows: Sequence[dict], plan: dict) -> str:
    """What was spent on average and what the study promised, in a few lines."""
    means = {
        key: float(np.mean([row[key] for row in rows]))
        for key in ("samples", "policy_tokens", "prm_tokens", "flops")
    }
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
