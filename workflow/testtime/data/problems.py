"""Problems and answer keys of a dataset, from one of three sources."""

from pathlib import Path

import pandas as pd

from testtime.data.store import read_jsonl, read_parquet
from testtime.errors import UserError
from testtime.runtime import hub
from testtime.study.catalog import DatasetSpec
from testtime.study.types import Problem

COLUMNS = ("problem_id", "problem", "answer", "level", "subject")


def load_problems(spec: DatasetSpec, *, seed: int, limit: int | None = None) -> pd.DataFrame:
    """The first `limit` problems of a dataset (all if None), in the source's order.

    Returns:
        One row per problem: problem_id, problem, answer (as published, a string), level, subject.

    Raises:
        UserError: the source is not available, lacks a column, or repeats a problem_id.
    """
    if spec.source == "microcosm":
        # Only needed here, and slow to import.
        from testtime.data.microcosm import generate_problems

        rows = pd.DataFrame(generate_problems("test", spec.size, seed))
    elif spec.source == "file":
        rows = _read_file(spec)
    else:
        rows = _read_hub(spec)
    rows = rows.head(limit) if limit else rows
    _check(rows, spec)
    return rows.reindex(columns=COLUMNS).reset_index(drop=True)


def as_problems(rows: pd.DataFrame) -> list[Problem]:
    """The rows as a policy sees them."""
    return [Problem(*pair) for pair in zip(rows["problem_id"], rows["problem"], strict=True)]


def _check(rows: pd.DataFrame, spec: DatasetSpec) -> None:
    for column in COLUMNS[:3]:
        if column not in rows:
            raise UserError(
                f"dataset {spec.name}: no column {column!r} in {spec.path}; found: "
                f"{', '.join(rows.columns)}; name it under catalog.datasets.{spec.name}.columns"
            )
        if rows[column].isna().any():
            raise UserError(f"dataset {spec.name}: column {column!r} has empty values")
    twice = rows.loc[rows["problem_id"].duplicated(), "problem_id"]
    if len(twice):
        raise UserError(f"dataset {spec.name}: problem_id {twice.iloc[0]!r} is given twice")
    if len(rows) == 0:
        raise UserError(f"dataset {spec.name}: {spec.path} has no problems")


def _read_file(spec: DatasetSpec) -> pd.DataFrame:
    """The file's rows under the study's column names; ids are generated if the file has none.

    Answers stay as published: "025" keeps its zero, 27.0 its decimal.
    """
    path = Path(spec.path)
    if path.suffix == ".parquet":
        rows = read_parquet(path)
    elif path.suffix in {".jsonl", ".json"}:
        rows = pd.DataFrame(list(read_jsonl(path)))
    else:
        raise UserError(f"dataset {spec.name}: {path} is neither .jsonl nor .parquet")
    return _named(rows, spec)


def _named(rows: pd.DataFrame, spec: DatasetSpec) -> pd.DataFrame:
    """Rename the source's columns and give ids and answers their string form."""
    rows = rows.rename(columns={theirs: ours for ours, theirs in spec.columns.items()})
    if "problem_id" not in rows:
        width = len(str(max(len(rows) - 1, 0)))
        rows["problem_id"] = [f"{spec.name}/{i:0{width}d}" for i in range(len(rows))]
    for column in ("problem_id", "answer"):
        if column in rows:
            rows[column] = (
                rows[column].astype(object).where(rows[column].isna(), rows[column].map(str))
            )
    return rows


def _read_hub(spec: DatasetSpec) -> pd.DataFrame:
    """Download the dataset at its pinned revision, or find it in the cache.

    Raises:
        UserError: it is not available, or there is no such dataset, revision or split.
    """
    found = hub.find(spec.path, spec.revision, "dataset")
    from datasets import load_dataset

    # Without a network, an earlier download is read from its folder.
    local = found.folder is not None and not hub.is_reachable()
    source, revision = (str(found.folder), None) if local else (spec.path, spec.revision)
    try:
        rows = load_dataset(source, spec.subset, split=spec.split, revision=revision)
    except Exception as error:  # the library raises many kinds; all mean "not available"
        raise UserError(
            f"dataset {spec.name}: cannot load {spec.path} (revision {spec.revision}) from the "
            f"hub: {error}; check the network, or give a local file: source: file, path: ..."
        ) from error
    return _named(rows.to_pandas(), spec)
