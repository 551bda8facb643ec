"""Problems from a local JSONL or Parquet file."""

from pathlib import Path

import pandas as pd

from testtime.catalog import DatasetSpec
from testtime.errors import UserError
from testtime.tables import read_jsonl, read_parquet


def read(spec: DatasetSpec) -> pd.DataFrame:
    """The file's rows under the study's column names; ids are made where the file has none.

    Answers stay as published: "025" keeps its zero, 27.0 its decimal.
    """
    path = Path(spec.path)
    if path.suffix == ".parquet":
        rows = read_parquet(path)
    elif path.suffix in {".jsonl", ".json"}:
        rows = pd.DataFrame(list(read_jsonl(path)))
    else:
        raise UserError(f"dataset {spec.name}: {path} is neither .jsonl nor .parquet")
    return named(rows, spec)


def named(rows: pd.DataFrame, spec: DatasetSpec) -> pd.DataFrame:
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
