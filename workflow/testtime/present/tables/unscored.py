"""Steps beyond a PRM's context, which have no score, and texts beyond what it was trained on."""

from testtime.evaluate.tables import unscored_table
from testtime.present.registry import Tables

TABLES = Tables(
    "evaluate",
    tables={
        "unscored": "Paths that are longer than a PRM's context: they are scored by the steps that "
        "it could read, and score 0 where it could read none. untrained_paths were read beyond the "
        "PRM's trained context (`trained_context` of its catalog entry): their scores are of steps "
        "that it was not trained to judge.",
    },
    inputs=("generations", "scores", "searches"),
    settings=("trained_contexts",),
    needs=("scored",),
)


def make(inputs: dict, settings: dict) -> dict:
    """Counts of paths and steps, per PRM and method."""
    files = (inputs[kind] for kind in ("generations", "scores", "searches"))
    return {"unscored": unscored_table(*files, settings["trained_contexts"])}
