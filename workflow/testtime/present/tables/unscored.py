"""Steps beyond a PRM's context, which have no score."""

from testtime.evaluate.tables import unscored_table
from testtime.present.registry import Tables

TABLES = Tables(
    "evaluate",
    tables={
        "unscored": "Paths that are longer than a PRM's context: they are scored by the steps that "
        "it could read, and score 0 where it could read none.",
    },
    inputs=("generations", "scores", "searches"),
    needs=("scored",),
)


def make(inputs: dict, settings: dict) -> dict:
    """Counts of paths and steps, per PRM and method."""
    return {"unscored": unscored_table(inputs["generations"], inputs["scores"], inputs["searches"])}
