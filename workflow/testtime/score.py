"""Scoring: a PRM over a policy's samples, or over a file of solutions."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pandas as pd

from testtime.data.rows import Rows, digest
from testtime.data.store import read_numbered_jsonl, write_jsonl
from testtime.engines.base import Prm, score
from testtime.errors import UserError
from testtime.runtime.progress import Progress
from testtime.study.types import ScoreRequest, StepScores

# Texts given to the engine at once: enough to batch by length, few enough to show progress and to
# be lost with a killed job.
CHUNK = 2048


def score_pool(
    prm: Prm,
    problems: pd.DataFrame,
    generations: pd.DataFrame,
    progress: Progress | None = None,
    *,
    rows: Rows | None = None,
    stamps: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Score every sample of a pool; equal texts are read once.

    Args:
        prm: any engine's; not asked for anything if nothing is missing.
        problems: problem_id, problem.
        generations: problem_id, sample, steps (lists of texts, none blank).
        progress: receives finished samples.
        rows: keep each text's scores; those that they hold are not read again.
        stamps: of each problem's rows, by its id.

    Returns:
        In the order of `generations`: problem_id, sample, thinking (T, where the policy thinks, of
        whose samples the steps are the answer's), scores (list, one probability per step) and
        prm_tokens, the tokens that a text takes; where it is longer than the PRM's context, the
        tokens of the steps that fit.

    Raises:
        UserError: a sample's problem is not among `problems`.
    """
    texts = dict(zip(problems["problem_id"], problems["problem"], strict=True))
    unknown = sorted(set(generations["problem_id"]) - set(texts))
    if unknown:
        raise UserError(f"samples of problem {unknown[0]!r}, which is not in the dataset")
    rows = Rows() if rows is None else rows
    stamps = texts if stamps is None else stamps
    asked: dict[tuple[str, str], ScoreRequest] = {}  # distinct texts, by stamp and key
    samples: Counter[tuple[str, str]] = Counter()
    places = []
    for problem_id, steps in zip(generations["problem_id"], generations["steps"], strict=True):
        request = ScoreRequest(texts[problem_id], tuple(steps))
        place = (stamps[problem_id], digest(request.steps))
        places.append(place)
        asked[place] = request
        samples[place] += 1
    missing = [place for place in asked if place[1] not in rows.of(place[0])]
    if progress is not None:
        progress.update(len(places) - sum(samples[place] for place in missing))
    for chunk in _chunks(missing):
        results = _score(prm, [asked[place] for place in chunk])
        found: dict[str, dict[str, list]] = {}
        for (stamp, key), result in zip(chunk, results, strict=True):
            found.setdefault(stamp, {})[key] = [list(result.scores), result.tokens]
        for stamp, own in found.items():
            rows.add(stamp, own)
        if progress is not None:
            progress.update(sum(samples[place] for place in chunk))
    scored = [rows.of(stamp)[key] for stamp, key in places]
    keys = [name for name in ("problem_id", "sample", "thinking") if name in generations]
    return pd.DataFrame(
        {
            **{name: generations[name].to_numpy() for name in keys},
            "scores": [scores for scores, _ in scored],
            "prm_tokens": pd.Series([tokens for _, tokens in scored], dtype="int64"),
        }
    )


def score_file(prm: Prm, path: str | Path, output: str | Path, progress: Progress) -> None:
    """Add `scores`, one probability per step, to each line of a file of solutions.

    Args:
        prm: any engine's.
        path: JSON lines with problem (text) and steps (list of texts); other keys are kept.
        output: the same lines with `scores`; written whole or not at all.
        progress: receives finished lines.

    Raises:
        UserError: a line lacks a key or has a wrong value, or is longer than the PRM can read;
            names the line and the key or step.
    """

    def scored() -> Iterator[dict]:
        for chunk in _chunks(read_numbered_jsonl(path)):
            requests = [ScoreRequest(row["problem"], tuple(row["steps"])) for _, row in chunk]
            for (number, row), result in zip(chunk, _score(prm, requests), strict=True):
                if len(result.scores) < len(row["steps"]):
                    raise UserError(
                        f"{path}, line {number}: step {len(result.scores) + 1} of "
                        f"{len(row['steps'])} ends beyond the PRM's context; give a shorter "
                        "solution, or a PRM that reads more"
                    )
                yield row | {"scores": list(result.scores)}
            progress.update(len(chunk))

    write_jsonl(scored(), output)


def describe_unscored(
    steps: Sequence[Sequence[str]], scores: Sequence[Sequence[float]], paths: str
) -> str:
    """How many steps were beyond the PRM's context, in words.

    Args:
        steps: of each path.
        scores: of each path, one per step that could be read.
        paths: what to call the paths, e.g. "samples".
    """
    missing = [len(texts) - len(found) for texts, found in zip(steps, scores, strict=True)]
    cut = sum(count > 0 for count in missing)
    none = sum(len(texts) > len(found) == 0 for texts, found in zip(steps, scores, strict=True))
    return (
        f"{cut} of {len(missing)} {paths} are longer than the PRM's context: {sum(missing)} steps "
        f"have no score, {none} {paths} have none at all"
    )


def check_file(path: str | Path) -> int:
    """Check every line of a file of solutions, before a model is loaded for it.

    Returns:
        The number of solutions.

    Raises:
        UserError: a line lacks a key or has a wrong value; names the line and the key.
    """
    count = 0
    for number, row in read_numbered_jsonl(path):
        _check_row(row, f"{path}, line {number}")
        count += 1
    return count


def _check_row(row: dict, where: str) -> None:
    for key, kind, allowed in (("problem", str, "a text"), ("steps", list, "a list of texts")):
        if key not in row:
            raise UserError(f"{where}: no {key!r}")
        if not isinstance(row[key], kind):
            raise UserError(f"{where}: {key!r} is {row[key]!r:.60}; allowed: {allowed}")
    for number, step in enumerate(row["steps"], 1):
        if not isinstance(step, str) or not step.strip():
            raise UserError(
                f"{where}: 'steps' has {step!r:.60} as step {number}; allowed: a text, not blank"
            )


def _score(prm: Prm, requests: Sequence[ScoreRequest]) -> list[StepScores]:
    """Have the PRM score the texts that have steps."""
    asked = iter(score(prm, [request for request in requests if request.steps]))
    return [next(asked) if request.steps else StepScores((), 0) for request in requests]


def _chunks(items) -> Iterator[list]:
    items = iter(items)
    while chunk := list(islice(items, CHUNK)):
        yield chunk
