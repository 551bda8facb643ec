"""Policies that think: accuracy by samples and thinking tokens."""

from testtime.compare.thinking import forced_table, thinking_gains, thinking_table
from testtime.data.samples import read_cells, read_generations
from testtime.data.store import read_parquet
from testtime.fit.cells import Settings
from testtime.present.registry import Tables

TABLES = Tables(
    "compare",
    tables={
        "thinking": "Every strategy of policies that think, at every thinking budget T.",
        "thinking_gains": "What each larger thinking budget adds to the one before, paired.",
        "thinking_forced": "What the answers are worth whose thoughts were cut.",
    },
    inputs=("outcomes", "difficulty", "thoughts", "grades"),
    settings=("fit", "evaluate", "seed"),
    needs=("thinks",),
)


def make(inputs: dict, settings: dict) -> dict:
    """Means over problems, and paired differences."""
    of_fit = Settings.of_study(settings)
    made_of = read_parquet(*inputs["outcomes"]), read_cells(inputs["difficulty"]), of_fit
    samples = ["problem_id", "sample", "thinking", "forced"]
    drawn, graded = read_generations(inputs["thoughts"], samples), read_cells(inputs["grades"])
    return {
        "thinking": thinking_table(*made_of),
        "thinking_gains": thinking_gains(*made_of),
        "thinking_forced": forced_table(drawn, graded, of_fit.confidence),
    }
