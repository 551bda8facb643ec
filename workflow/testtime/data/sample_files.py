"""Files of samples made elsewhere: reading them, and saying where they are wrong."""

from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd

from testtime.data.store import read_numbered_jsonl, read_parquet
from testtime.errors import UserError

NEEDED = ("problem_id", "sample")
TEXTS = ("completion", "answer")
SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")


def read_samples(
    path: str | Path, problem_ids: Iterable[str], *, part: bool = False
) -> pd.DataFrame:
    """Read and check the file; see `testtime.data.imports`.

    Returns:
        Its columns, sorted by problem and sample, with token_count always (Int64) and `where`,
        the line each row came from.
    """
    path, known = Path(path), set(problem_ids)
    rows = pd.DataFrame(_checked(path, known, part))
    if rows.empty:
        raise UserError(f"{path}: no samples of the dataset's problems")
    rows["token_count"] = rows["token_count"].astype("Int64")
    rows = rows.sort_values(["problem_id", "sample"], kind="stable", ignore_index=True)
    _check_counts(path, rows, known)
    rows["sample"] = rows.groupby("problem_id").cumcount()
    return rows


def _checked(path: Path, known: set[str], part: bool) -> Iterator[dict]:
    text = None
    for where, row in _rows(path):
        for column in NEEDED:
            if row.get(column) is None:
                raise UserError(
                    f"{path}, {where}: no {column!r}; allowed columns: problem_id, sample, "
                    "completion or answer, token_count, scores"
                )
        text = text or next((name for name in TEXTS if name in row), None)
        if text is None or text not in row:
            raise UserError(
                f"{path}, {where}: no {text or 'completion'!r}; allowed: every row has a "
                "completion, or every row has an answer"
            )
        problem_id = str(row["problem_id"])
        if problem_id not in known:
            if part:
                continue
            raise UserError(
                f"{path}, {where}: problem_id {problem_id!r} is not in the dataset; allowed: "
                f"{', '.join(sorted(known)[:3])}, ..."
            )
        yield {
            "where": where,
            "problem_id": problem_id,
            "sample": _whole(row["sample"], f"{path}, {where}: sample"),
            text: "" if row[text] is None else str(row[text]),
            "token_count": _tokens(row.get("token_count"), f"{path}, {where}: token_count"),
            "scores": row.get("scores"),
        }


def _check_counts(path: Path, rows: pd.DataFrame, known: set[str]) -> None:
    twice = rows[rows.duplicated(["problem_id", "sample"])]
    if len(twice):
        row = twice.iloc[0]
        raise UserError(
            f"{path}, {row['where']}: sample {row['sample']} of {row['problem_id']} stands twice"
        )
    counts = rows["problem_id"].value_counts()
    missing = sorted(known - set(counts.index))
    if missing:
        raise UserError(f"{path}: no samples of problem {missing[0]} ({len(missing)} are missing)")
    usual = int(counts.mode().max())
    odd = counts[counts != usual]
    if len(odd):
        name = odd.index.min()
        raise UserError(
            f"{path}: problem {name} has {odd[name]} samples, most have {usual}; allowed: the same "
            "number for every problem"
        )


def _rows(path: Path) -> Iterator[tuple[str, dict]]:
    """Yield each row with the words that say where it stands."""
    if not path.name.endswith(SUFFIXES):
        raise UserError(f"{path}: unknown kind of file; allowed: {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        for number, row in enumerate(read_parquet(path).to_dict("records"), 1):
            yield f"row {number}", {name: _plain(value) for name, value in row.items()}
    else:
        for number, row in read_numbered_jsonl(path):
            yield f"line {number}", row


def _plain(value: object) -> object:
    """A Parquet value as JSON has it: null, not NaN; lists and dicts for nested columns."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, list):  # pyarrow's map type
        value = dict(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    return None if isinstance(value, float) and np.isnan(value) else value


def _whole(value: object, what: str) -> int:
    if not is_finite(value) or value != int(value):
        raise UserError(f"{what} {value!r} is not a whole number; allowed: 0, 1, 2, ...")
    return int(value)


def _tokens(value: object, what: str) -> int | None:
    if value is None:
        return None
    tokens = _whole(value, what)
    if tokens < 0:
        raise UserError(f"{what} {value!r} is negative; allowed: 0, 1, 2, ...")
    return tokens


def is_finite(value: object) -> bool:
    """Whether it is a number, and neither infinite nor NaN."""
    return isinstance(value, Real) and not isinstance(value, bool) and bool(np.isfinite(value))
