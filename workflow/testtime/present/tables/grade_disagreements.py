"""Answers on which plain math-verify disagrees, for manual review."""

import pandas as pd

from testtime.data.samples import read_cells
from testtime.data.store import read_places
from testtime.grade.grading import disagreements
from testtime.grade.workers import Workers
from testtime.present.registry import Tables

TABLES = Tables(
    "grade",
    tables={
        "grade_disagreements": "Answers on which plain math-verify disagrees, or "
        "which could not be decided, for manual review.",
    },
    inputs=("grades", "answers"),
    settings=("conventions", "grade"),
    needs=("cross_check",),
    heavy=True,
)


def make(inputs: dict, settings: dict) -> dict:
    """One row per answer, over all datasets and policies."""
    keys = dict(list(read_places(inputs["answers"], ["dataset"]).groupby("dataset", sort=False)))
    graded = read_cells(inputs["grades"]).groupby(["dataset", "policy"], sort=False)
    tables = []
    with Workers(**settings["grade"]) as workers:
        for (dataset, policy), rows in graded:
            golds = dict(zip(keys[dataset]["problem_id"], keys[dataset]["answer"], strict=True))
            convention = settings["conventions"][dataset]
            found = disagreements(rows, golds, workers, convention=convention)
            tables.append(found.assign(dataset=dataset, policy=policy))
    table = pd.concat(tables, ignore_index=True)
    front = ["dataset", "policy"]
    return {"grade_disagreements": table[front + [name for name in table if name not in front]]}
