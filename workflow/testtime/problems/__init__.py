"""Problems and answer keys of a dataset, from one of three sources."""

import pandas as pd

from testtime.catalog import DatasetSpec
from testtime.errors import UserError
from testtime.problems import files, hub
from testtime.types import Problem

COLUMNS = ("problem_id", "problem", "answer", "level", "subject")


def load_problems(spec: DatasetSpec, *, seed: int, limit: int | None = None) -> pd.DataFrame:
    """The first `limit` problems of a dataset (all where it is None), in the source's order.

    Returns:
        One row per problem: problem_id, problem, answer (as published, a string), level, subject.

    Raises:
        UserError: the source cannot be had, lacks a column, or repeats a problem_id.
    """
    if spec.source == "microcosm":
        # The world is only needed here: its module would slow every other import down.
        from testtime.microcosm.world import generate_problems

        rows = pd.DataFrame(generate_problems("test", spec.size, seed))
    elif spec.source == "file":
        rows = files.read(spec)
    else:
        rows = hub.read(spec)
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
        raise UserError(f"dataset {spec.name}: problem_id {twice.iloc[0]!r} stands twice")
    if len(rows) == 0:
        raise UserError(f"dataset {spec.name}: {spec.path} has no problems")
