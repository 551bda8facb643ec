"""Accuracy of every strategy by difficulty."""

from testtime.data.samples import read_cells, whole_thoughts
from testtime.data.store import read_parquet
from testtime.evaluate.tables import accuracy_table
from testtime.present.registry import Tables

TABLES = Tables(
    "evaluate",
    tables={
        "accuracy": "Every strategy at every budget, over all problems and by difficulty; of "
        "policies that think at their largest thinking budget."
    },
    inputs=("outcomes", "difficulty"),
    settings=("evaluate",),
)


def make(inputs: dict, settings: dict) -> dict:
    """Means over problems, with intervals."""
    table = accuracy_table(
        whole_thoughts(read_parquet(*inputs["outcomes"])),
        read_cells(inputs["difficulty"]),
        level=settings["evaluate"]["confidence"],
    )
    return {"accuracy": table}
