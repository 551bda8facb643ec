"""Pass@k of every policy."""

from testtime.data.samples import read_cells
from testtime.evaluate.tables import pass_at_k_table
from testtime.present.registry import Tables

TABLES = Tables(
    "evaluate",
    tables={"pass_at_k": "Share of problems with at least one right answer among k samples."},
    inputs=("grades",),
    settings=("evaluate", "budgets"),
)


def make(inputs: dict, settings: dict) -> dict:
    """Unbiased estimates from the pool."""
    table = pass_at_k_table(
        read_cells(inputs["grades"]),
        budgets=settings["budgets"]["pool"],
        level=settings["evaluate"]["confidence"],
    )
    return {"pass_at_k": table}
