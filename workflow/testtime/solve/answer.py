"""From a problem's paths to one answer, for a user who has no answer key."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.rules import Ballots, Drawn, run
from testtime.evaluate.scoring import weigh
from testtime.evaluate.votes import tally
from testtime.grade.classes import equivalence_classes
from testtime.grade.extract import extract_answer
from testtime.grade.workers import Workers
from testtime.study.methods import METHODS, Method
from testtime.study.types import Path, Problem, SearchResult
from testtime.study.vocabulary import ALL_VOTES, MAJORITY, NONE, WEIGHTED


def answer_problems(
    results: Iterable[SearchResult],
    problems: Sequence[Problem],
    *,
    method: str,
    scoring: str,
    vote: str,
    convention: str = "math",
    workers: Workers | None = None,
) -> Iterator[dict]:
    """Let each problem's paths vote.

    Args:
        results: of `search_problems`, any order; subtrees of a problem vote together.
        problems: in the order of the output.
        method: that found them.
        scoring: "min", "last" or "avg", a path's score from those of its steps.
        vote: one of VOTES.
        convention: how answers are read and compared, see `testtime.grade`.
        workers: of the grading, for formulas, which only they can read.

    Yields:
        Per problem: problem_id, answer (None if no path has one), paths (text, steps, scores,
        tokens, finished), pruned (the same, if they vote), policy_tokens, prm_tokens and
        prompt_tokens.
    """
    trees: dict[str, list[SearchResult]] = {problem.problem_id: [] for problem in problems}
    for result in results:
        trees[result.problem_id].append(result)
    for problem in problems:
        searched = sorted(trees[problem.problem_id], key=lambda result: result.subtree)
        paths = [path for result in searched for path in result.paths]
        pruned = [path for result in searched for path in result.pruned if vote in ALL_VOTES]
        voters = as_frame(paths + pruned)
        yield {
            "problem_id": problem.problem_id,
            "answer": choose_answer(
                voters, method, scoring, vote, convention=convention, workers=workers
            ),
            "paths": [_describe(path) for path in paths],
            **({"pruned": [_describe(path) for path in pruned]} if vote in ALL_VOTES else {}),
            "policy_tokens": sum(result.policy_tokens for result in searched),
            "prm_tokens": sum(result.prm_tokens for result in searched),
            "prompt_tokens": max((result.prompt_tokens for result in searched), default=0),
        }


def choose_answer(
    paths: pd.DataFrame,
    method: str,
    scoring: str,
    vote: str,
    *,
    convention: str = "math",
    workers: Workers | None = None,
) -> str | None:
    """The answer that wins the vote, as written by its first path; ties go to the first path.

    Equivalent answers vote together; a path without an answer does not vote. Methods that do not
    rank paths always take the majority.

    Args:
        paths: of one problem, with the columns from which the method computes weights; with the
            pruned ones for a vote among all candidates.
        method: that drew them.
        scoring: of the weights; a method without it takes its own.
        vote: one of VOTES.
        convention: how answers are read and compared, see `testtime.grade`.
        workers: of the grading.

    Raises:
        UserError: no such vote or scoring.
    """
    chosen = METHODS[method]
    if paths.empty:
        return None
    answers = [extract_answer(text, convention) for text in paths["text"]]
    classes = equivalence_classes(answers, convention, workers)
    if chosen.rule:
        weights, vote = follow_once(chosen, paths, classes, scoring).weights[0], WEIGHTED
        # A sample without a vote does not win, not even where none has one.
        classes = [c if weight else -1 for c, weight in zip(classes, weights, strict=True)]
    else:
        vote = ALL_VOTES.get(vote, vote) if chosen.weighs else MAJORITY
        weights = [1.0] * len(paths)
        if vote != MAJORITY:
            weights = weigh(chosen, paths, chosen.scorings_of([scoring]))[:, 0]
    winners = tally(classes, weights, vote)
    return answers[classes.index(winners[0])] if winners else None


def follow_once(
    rule: Method, paths: pd.DataFrame, classes: Sequence[int], scoring: str = NONE
) -> Ballots:
    """What a rule says about samples in the order in which they were drawn.

    Args:
        rule: any.
        paths: of one problem, not none.
        classes: of their answers, -1 without one.
        scoring: of the weights that the rule reads.

    Raises:
        UserError: the samples lack what the rule reads.
    """
    tokens = paths["tokens"].to_numpy(dtype=float)
    forced, thoughts = None, tokens
    if "forced" in paths:
        forced = paths["forced"].to_numpy(dtype=bool)[None]
        thoughts = paths["thought_tokens"].to_numpy(dtype=float)
    read = weigh(METHODS[rule.reads], paths, rule.scorings_of([scoring])) if rule.reads else None
    scores = None if read is None else read[None, :, 0]
    columns = np.array(classes)[None], tokens[None], scores, thoughts[None], forced
    found = None if rule.reads and read is None else run(rule, Drawn(*columns))
    if found is None:
        raise UserError(f"{rule.name}: these samples lack what it reads")
    return found


def decides(rule: Method, samples: pd.DataFrame, n: int) -> bool:
    """Whether a rule stops after these samples of a problem, or before, rather than go on to n.

    Args:
        rule: one that stops.
        samples: in the order in which they were drawn, with answer_class.
        n: most samples.
    """
    # Those that are still to come have no answer yet, and decide nothing.
    padded = samples.reset_index(drop=True).reindex(range(n))
    classes = padded["answer_class"].fillna(-1).astype(int)
    return bool(follow_once(rule, padded, classes).drawn[0] <= len(samples))


def as_frame(paths: Sequence[Path]) -> pd.DataFrame:
    """Paths with the columns that methods read, see `testtime.evaluate.methods`."""
    columns = ("text", "tokens", "logprob", "step_logprobs", "scores")
    return pd.DataFrame({name: [getattr(path, name) for path in paths] for name in columns})


def _describe(path: Path) -> dict:
    return {
        "text": path.text,
        "steps": list(path.steps),
        "scores": list(path.scores),
        "tokens": path.tokens,
        "finished": path.finished,
    }
