"""From a problem's paths to one answer, for a user who has no answer key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from testtime.errors import UserError
from testtime.study.types import Path, Problem, SearchResult

if TYPE_CHECKING:
    from testtime.grade.workers import Workers

VOTES = ("majority", "max", "weighted")
TIE = 1e-9  # relative difference of summed scores that rounding alone can make


def answer_problems(
    results: Iterable[SearchResult],
    problems: Sequence[Problem],
    *,
    scoring: str,
    vote: str,
    convention: str = "math",
    workers: Workers | None = None,
) -> Iterator[dict]:
    """Let each problem's paths vote.

    Args:
        results: of `search_problems`, any order; subtrees of a problem vote together.
        problems: in the order of the output.
        scoring: "min", "last" or "avg", a path's score from those of its steps.
        vote: one of VOTES.
        convention: how answers are read and compared, see `testtime.grade`.
        workers: of the grading, for formulas, which only they can read.

    Yields:
        Per problem: problem_id, answer (None if no path has one), paths (text, steps, scores,
        tokens, finished), policy_tokens, prm_tokens and prompt_tokens.
    """
    trees: dict[str, list[SearchResult]] = {problem.problem_id: [] for problem in problems}
    for result in results:
        trees[result.problem_id].append(result)
    for problem in problems:
        own = sorted(trees[problem.problem_id], key=lambda result: result.subtree)
        paths = [path for result in own for path in result.paths]
        answer = choose_answer(
            paths, scoring=scoring, vote=vote, convention=convention, workers=workers
        )
        yield {
            "problem_id": problem.problem_id,
            "answer": answer,
            "paths": [_describe(path) for path in paths],
            "policy_tokens": sum(result.policy_tokens for result in own),
            "prm_tokens": sum(result.prm_tokens for result in own),
            "prompt_tokens": max((result.prompt_tokens for result in own), default=0),
        }


def choose_answer(
    paths: Sequence[Path],
    *,
    scoring: str,
    vote: str,
    convention: str = "math",
    workers: Workers | None = None,
) -> str | None:
    """The answer that wins the vote, as its first path writes it; a tie goes to the first path.

    Equivalent answers vote together; a path without an answer does not vote.

    Raises:
        UserError: no such vote or scoring.
    """
    from testtime.evaluate.scoring import path_scores
    from testtime.grade.classes import equivalence_classes
    from testtime.grade.extract import extract_answer

    if vote not in VOTES:
        raise UserError(f"vote {vote!r} is not known; allowed: {', '.join(VOTES)}")
    scores = path_scores([path.scores for path in paths], [scoring])[:, 0]
    answers = [extract_answer(path.text, convention) for path in paths]
    tally: dict[int, float] = {}
    first: dict[int, int] = {}
    for i, group in enumerate(equivalence_classes(answers, convention, workers)):
        if group < 0:
            continue
        first.setdefault(group, i)
        weight = 1.0 if vote == "majority" else float(scores[i])
        held = tally.get(group, 0.0)
        tally[group] = max(held, weight) if vote == "max" else held + weight
    if not tally:
        return None
    most = max(tally.values())
    return answers[min(first[g] for g, total in tally.items() if total >= most * (1 - TIE))]


def _describe(path: Path) -> dict:
    return {
        "text": path.text,
        "steps": list(path.steps),
        "scores": list(path.scores),
        "tokens": path.tokens,
        "finished": path.finished,
    }
