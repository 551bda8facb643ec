"""Import samples made elsewhere: completions, or only answers.

A JSONL or Parquet file (JSONL may be gzipped) with one row per sample:

| column | |
|---|---|
| problem_id | as in the dataset |
| sample | an integer, different for each sample of a problem |
| completion, or answer | the full solution; or its final answer alone, empty where there is none |
| token_count | optional: tokens generated |
| scores | optional: PRM name -> list of one probability per step |

Every problem has the same number of samples. What the file does not give stays unknown: without
token_count, tokens and FLOPs are empty in every table.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd

from testtime.data.store import read_numbered_jsonl, read_parquet
from testtime.errors import UserError
from testtime.study.blocks import COT, DIFFICULTY, block_range

NEEDED = ("problem_id", "sample")
TEXTS = ("completion", "answer")
LARGEST = 2**53  # of the numbers that every reader of JSON holds exactly
SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")


def import_samples(
    path: str | Path,
    problem_ids: Iterable[str],
    *,
    separator: str = "\n\n",
    part: bool = False,
    close: str | None = None,
) -> pd.DataFrame:
    r"""Read a file of samples into the form that `generate` writes.

    Args:
        path: .jsonl, .jsonl.gz or .parquet.
        problem_ids: the dataset's problems.
        separator: text between two steps of a completion.
        part: the problems are only a part of the dataset; rows about others are left out.
        close: text that ends a thought; the answer is what follows its last occurrence, the whole
            completion where it has none.

    Returns:
        One row per sample, sorted: problem_id, sample (renumbered from 0), text (an answer alone
        as \boxed{answer}), steps, step_logprobs and step_ends (empty), logprob (NaN), tokens (null
        where unknown), prompt_tokens (null), finish ("stop"), seed (-1).

    Raises:
        UserError: a column is missing or has a wrong value, a problem is unknown, a sample is
            given twice, or problems differ in their numbers of samples; names file, line and what
            is allowed.
    """
    rows = _read(path, problem_ids, part=part)
    completions = "completion" in rows
    texts = _answers(rows["completion"], close) if completions else rows["answer"].map(_boxed)
    steps = [_steps(text, separator) if completions else [] for text in texts]
    return pd.DataFrame(
        {
            "problem_id": rows["problem_id"],
            "sample": rows["sample"],
            "text": texts,
            "steps": steps,
            "step_logprobs": [[] for _ in steps],
            "step_ends": [[] for _ in steps],
            "logprob": np.nan,
            "tokens": rows["token_count"],
            "prompt_tokens": pd.array([pd.NA] * len(rows), dtype="Int64"),
            "finish": "stop",
            "seed": -1,
        }
    )


def import_scores(
    path: str | Path,
    problem_ids: Iterable[str],
    prm: str,
    *,
    separator: str = "\n\n",
    part: bool = False,
    close: str | None = None,
) -> pd.DataFrame:
    """Read one PRM's step scores from a file of samples, into the form that `score` writes.

    Returns:
        problem_id, sample, scores, prm_tokens (null: the file does not give the tokens that the PRM
        read).

    Raises:
        UserError: the PRM has no scores for some sample, or more than the completion has steps;
            otherwise as in `import_samples`.
    """
    rows = _read(path, problem_ids, part=part)
    given = rows["scores"] if "scores" in rows else [None] * len(rows)
    found = [s.get(prm) if isinstance(s, Mapping) else None for s in given]
    for where, scores in zip(rows["where"], found, strict=True):
        if not isinstance(scores, list) or not all(
            _is_finite(score) and 0 <= score <= 1 for score in scores
        ):
            raise UserError(
                f"{path}, {where}: no step scores of {prm!r}, each between 0 and 1; allowed: "
                f'"scores": {{"{prm}": [0.9, 0.7, ...]}} in every row'
            )
    if "completion" in rows:
        texts = _answers(rows["completion"], close)
        for where, text, scores in zip(rows["where"], texts, found, strict=True):
            steps = len(_steps(text, separator))
            if len(scores) > steps:
                raise UserError(
                    f"{path}, {where}: {len(scores)} step scores of {prm!r} for {steps} steps, "
                    f"which {separator!r} divides; allowed: at most one per step"
                )
    return pd.DataFrame(
        {
            "problem_id": rows["problem_id"],
            "sample": rows["sample"],
            "scores": [[float(score) for score in scores] for scores in found],
            "prm_tokens": pd.array([pd.NA] * len(rows), dtype="Int64"),
        }
    )


def select_block(
    rows: pd.DataFrame, block: str, *, pool: int, held_out: int, chains: int = 0
) -> pd.DataFrame:
    """The samples of a block: of the pool by index, or the held-out ones that follow the pool.

    CoT's are the first of the pool.

    Args:
        rows: of `import_samples` or `import_scores`.
        block: "0-4", "4-16", ..., "cot" or "difficulty".
        pool: size of the pool, the largest budget.
        held_out: number of held-out samples.
        chains: number of samples of CoT.

    Raises:
        UserError: the file has too few samples.
    """
    n = int(rows["sample"].max()) + 1
    if block == DIFFICULTY:
        chosen = range(pool, pool + held_out)
    else:
        chosen = range(chains) if block == COT else block_range(block)
    if chosen.stop > n:
        raise UserError(
            f"samples up to {chosen.stop} of each problem are needed for {block!r}, the file has "
            f"{n}; allowed: budgets.pool and difficulty.samples that sum to at most {n}, "
            f"cot_samples up to {n}, or `n_samples: {n}` in the policy's catalog entry, which "
            "leaves larger budgets out"
        )
    selected = rows[rows["sample"].isin(chosen)]
    return selected.assign(sample=selected["sample"] - (pool if block == DIFFICULTY else 0))


def import_block(
    paths: Sequence[str],
    thinking: Sequence[int],
    read: Callable[[str], pd.DataFrame],
    block: str,
    **sizes: int,
) -> pd.DataFrame:
    """A block of files that belong together, one for each thinking budget, or of a single file.

    Args:
        paths: of the files.
        thinking: the budget T of each, which becomes a column; none for a single file without.
        read: gives the rows of a file, by `import_samples` or `import_scores`.
        block: as of `select_block`.
        sizes: its other arguments.
    """
    found = []
    for path, budget in zip(paths, thinking or [0], strict=True):
        rows = select_block(read(path), block, **sizes)
        found.append(rows.assign(thinking=budget) if thinking else rows)
    return pd.concat(found, ignore_index=True)


def _answers(completions: pd.Series, close: str | None) -> pd.Series:
    """What follows the thoughts of completions."""
    return completions if close is None else completions.map(lambda t: t.rpartition(close)[2])


def _steps(text: str, separator: str) -> list[str]:
    return [step for step in text.split(separator) if step.strip()]


def _boxed(answer: str) -> str:
    """An answer as the end of a solution states it; braces that do not match cannot be boxed."""
    depths = np.cumsum([(c == "{") - (c == "}") for c in answer])
    balanced = len(depths) == 0 or (depths[-1] == 0 and depths.min() >= 0)
    return f"\\boxed{{{answer}}}" if answer.strip() and balanced else answer


def _read(path: str | Path, problem_ids: Iterable[str], *, part: bool) -> pd.DataFrame:
    """The file's columns, checked and sorted by problem and sample.

    Always includes token_count (Int64) and `where`, the line each row came from.
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
            text: _text(row[text], f"{path}, {where}: {text}"),
            "token_count": _tokens(row.get("token_count"), f"{path}, {where}: token_count"),
            "scores": row.get("scores"),
        }


def _check_counts(path: Path, rows: pd.DataFrame, known: set[str]) -> None:
    twice = rows[rows.duplicated(["problem_id", "sample"])]
    if len(twice):
        row = twice.iloc[0]
        raise UserError(
            f"{path}, {row['where']}: sample {row['sample']} of {row['problem_id']} is given twice"
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
    """Yield each row with a description of its position in the file."""
    if not path.name.endswith(SUFFIXES):
        raise UserError(f"{path}: unknown kind of file; allowed: {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        for number, row in enumerate(read_parquet(path).to_dict("records"), 1):
            yield f"row {number}", {name: _plain(value) for name, value in row.items()}
    else:
        for number, row in read_numbered_jsonl(path):
            yield f"line {number}", row


def _plain(value: object) -> object:
    """A Parquet value in its JSON form: null, not NaN; lists and dicts for nested columns."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, list):  # pyarrow's map type
        value = dict(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    return None if isinstance(value, float) and np.isnan(value) else value


def _text(value: object, what: str) -> str:
    """A text, or a number written as one; empty for null."""
    if value is None:
        return ""
    if not isinstance(value, str) and not _is_finite(value):
        raise UserError(f"{what} is {value!r:.60}; allowed: a text")
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{what} has half of a character, {text[error.start]!r}; allowed: text that UTF-8 holds"
        ) from error
    return text


def _whole(value: object, what: str) -> int:
    if not _is_finite(value) or value != int(value) or abs(value) > LARGEST:
        raise UserError(
            f"{what} {value!r:.60} is not a whole number; allowed: 0, 1, 2, ... up to {LARGEST}"
        )
    return int(value)


def _tokens(value: object, what: str) -> int | None:
    if value is None:
        return None
    tokens = _whole(value, what)
    if tokens < 0:
        raise UserError(f"{what} {value!r} is negative; allowed: 0, 1, 2, ...")
    return tokens


def _is_finite(value: object) -> bool:
    """Whether it is a number, and neither infinite nor NaN."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return isinstance(value, int) or isfinite(value)  # a whole number may exceed all floats
