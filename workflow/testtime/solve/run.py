"""Carrying out one strategy on some problems."""

from collections.abc import Sequence

import pandas as pd

from testtime.evaluate.confidence import confidence
from testtime.evaluate.flops import inference_flops
from testtime.fit.cells import COT
from testtime.fit.plans import FROM_POOL
from testtime.runtime.progress import progress
from testtime.search import search_problems
from testtime.search.vote import choose_answer
from testtime.solve.draw import Drawn, Models, draw, read_by_prm
from testtime.study.types import Path, Problem


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
        strategy: method, scoring, vote, prm, budget.
        first: samples drawn before, which count and which strategies of the pool go on from.
        n_first: how many those are.

    Returns:
        problem_id -> answer, samples, policy_tokens, prm_tokens, flops.
    """
    method, n = strategy["method"], strategy["budget"]
    spent = {p.problem_id: {"policy_tokens": 0, "prm_tokens": 0} for p in problems}
    if first is not None:
        _pay(spent, first)
    if method in FROM_POOL or method == COT:
        drawn = draw(
            models,
            problems,
            0 if method == COT else n_first,
            n,
            scored=method == "best_of_n",
            greedy=method == COT,
        )
        _pay(spent, drawn)
        rows = drawn.rows
        if method in FROM_POOL and first is not None:
            before = first.rows[first.rows["problem_id"].isin(spent)]
            if method == "best_of_n" and "scores" not in before:
                before, read = read_by_prm(models, problems, before)
                _add(spent, "prm_tokens", read)
            rows = pd.concat([before, rows], ignore_index=True)
        paths = _weighted_paths(rows, method, strategy["scoring"])
        used = n_first + n if method == COT else n
    else:
        paths = _search(models, problems, method, n, spent)
        used = n_first + n
    scoring = strategy["scoring"] if strategy["scoring"] != "none" else "last"
    if method == "confidence":
        scoring = "last"  # the weight is the only score
    vote = strategy["vote"] if strategy["vote"] != "none" else "majority"
    return {
        name: {
            "answer": choose_answer(
                paths.get(name, []),
                scoring=scoring,
                vote=vote,
                convention=models.convention,
                workers=models.workers,
            ),
            "samples": used,
            **cost,
            "flops": _flops(models, cost),
        }
        for name, cost in spent.items()
    }


def _search(
    models: Models, problems: Sequence[Problem], method: str, budget: int, spent: dict[str, dict]
) -> dict[str, list[Path]]:
    with progress(len(problems), f"{method} of {models.spec.name}") as bar:
        results = search_problems(
            models.policy,
            models.prm,
            problems,
            method=method,
            budget=budget,
            beam_width=models.beam_width,
            sampling=models.spec.sampling,
            step_tokens=models.spec.step_tokens,
            max_steps=models.spec.max_steps,
            max_tokens=models.spec.max_tokens,
            separator=models.spec.separator,
            seed_parts=(*models.seed_parts, models.prm_spec.name),
            progress=bar,
        )
        results = sorted(results, key=lambda result: (result.problem_id, result.subtree))
    paths: dict[str, list[Path]] = {}
    for result in results:
        paths.setdefault(result.problem_id, []).extend(result.paths)
        spent[result.problem_id]["policy_tokens"] += result.policy_tokens
        spent[result.problem_id]["prm_tokens"] += result.prm_tokens
    return paths


def _weighted_paths(rows: pd.DataFrame, method: str, scoring: str) -> dict[str, list[Path]]:
    """Samples as paths; the score of a confidence vote is the policy's own."""
    if method == "confidence":
        scores = [(weight,) for weight in confidence(rows, [scoring])[:, 0].tolist()]
    elif "scores" in rows:
        scores = [tuple(row) for row in rows["scores"]]
    else:
        scores = [()] * len(rows)
    paths: dict[str, list[Path]] = {}
    for name, text, own in zip(rows["problem_id"], rows["text"], scores, strict=True):
        paths.setdefault(name, []).append(Path(text=text, scores=own))
    return paths


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
