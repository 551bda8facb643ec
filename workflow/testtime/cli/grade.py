"""`testtime grade`: predictions against golds, line by line."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Annotated

import typer

from testtime.data.store import atomic, read_jsonl
from testtime.errors import UserError
from testtime.grade.decide import gold_answer, grade_pairs
from testtime.grade.extract import extract_answer
from testtime.grade.workers import MEMORY_LIMIT_MB, TIME_LIMIT_S, Workers
from testtime.study.conventions import Convention, convention_named

_CHUNK = 1000  # lines held in memory


def grade(
    file: Annotated[Path, typer.Argument(help='JSON lines {"prediction": ..., "gold": ...}.')],
    *,
    output: Annotated[Path | None, typer.Option(help="Where to write; else printed.")] = None,
    convention: Annotated[
        str, typer.Option(help="math, integer or exact; options follow: math,percent=number.")
    ] = "math",
    workers: Annotated[int, typer.Option(min=1, help="Processes for hard comparisons.")] = 2,
    time_limit: Annotated[
        float, typer.Option(min=0.1, help="Processor seconds per pair.")
    ] = TIME_LIMIT_S,
    memory_limit: Annotated[
        int, typer.Option(min=512, help="Megabytes per process.")
    ] = MEMORY_LIMIT_MB,
) -> None:
    """Grade predictions: full solutions or bare answers, any number of lines, order kept.

    Adds to each line: extracted (the answer found, or null), correct (true, false, or null where
    it could not be decided) and reason.

    Example: testtime grade answers.jsonl --convention math,percent=number --output graded.jsonl
    """
    settings = convention_named(convention)
    counts: Counter = Counter()
    with Workers(workers, time_limit, memory_limit) as children, _opened(output) as out:
        for row in grade_rows(read_jsonl(file), settings, children, file):
            counts[row["correct"]] += 1
            out.write(_line(row) + "\n")
    total = counts.total()
    print(
        f"{total} pairs: {counts[True]} correct, {counts[False]} wrong, "
        f"{counts[None]} could not be decided",
        file=sys.stderr,
    )


def grade_rows(
    rows: Iterable[dict], convention: Convention, workers: Workers, name: str | Path
) -> Iterator[dict]:
    """Rows with their verdicts, a chunk at a time.

    Raises:
        UserError: a row lacks a field, or it is neither text nor a number nor null.
    """
    rows = iter(rows)
    done = 0
    while chunk := list(islice(rows, _CHUNK)):
        numbered = list(enumerate(chunk, done + 1))
        predictions = [_text(row, "prediction", i, name) for i, row in numbered]
        golds = [gold_answer(_text(row, "gold", i, name), convention) for i, row in numbered]
        found = [extract_answer(text, convention.name) for text in predictions]
        verdicts = grade_pairs(zip(found, golds, strict=True), convention, workers)
        for row, answer, verdict in zip(chunk, found, verdicts, strict=True):
            yield {**row, "extracted": answer, **verdict._asdict()}
        done += len(chunk)


def _line(row: dict) -> str:
    """The row as JSON; escaped where it holds half a character, which no file can."""
    line = json.dumps(row, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(row)
    return line


def _text(row: dict, field: str, number: int, name: str | Path) -> str:
    value = row.get(field, ...)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        found = "nothing" if value is ... else type(value).__name__
        raise UserError(
            f"{name}, row {number}: {field!r} must be text, a number or null; found {found}"
        )
    return value if isinstance(value, str) else str(value)


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        yield sys.stdout
        sys.stdout.flush()  # the rows come before the summary on stderr
        return
    with atomic(output) as temporary, temporary.open("w", encoding="utf-8") as out:
        yield out
