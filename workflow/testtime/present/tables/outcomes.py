"""Outcomes of the whole study, stacked."""

from testtime.data.store import read_parquet
from testtime.present.registry import Tables

TABLES = Tables("evaluate", files=("outcomes",), inputs=("cell_outcomes",))


def make(inputs: dict, settings: dict) -> dict:
    """One row per problem and strategy of every dataset and policy."""
    return {"outcomes": read_parquet(*inputs["cell_outcomes"])}
