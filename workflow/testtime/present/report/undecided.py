"""Answers that grading could not decide; they count as not correct."""

from pathlib import Path

import pandas as pd

from testtime.data.store import read_parquet

SHOWN = 50
COLUMNS = ["dataset", "policy", "method", "problem_id", "answer", "gold", "reason", "samples"]


def undecided(results: Path, cells: list[tuple[str, str]]) -> tuple[int, int, pd.DataFrame]:
    """Undecided grades of a study's cells.

    Args:
        results: folder.
        cells: pairs (dataset, policy).

    Returns:
        Number of undecided samples, number of all graded samples, and one row per distinct
        (dataset, policy, method, problem, answer), the most frequent first: COLUMNS.
    """
    total, found = 0, []
    for dataset, policy in cells:
        columns = ["method", "problem_id", "answer", "correct", "reason"]
        grades = read_parquet(results / f"grades/{dataset}/{policy}.parquet", columns=columns)
        total += len(grades)
        open_ = grades[grades["correct"].isna()]
        if len(open_):
            gold = read_parquet(results / f"answers/{dataset}.parquet").set_index("problem_id")
            open_ = open_.assign(dataset=dataset, policy=policy)
            found.append(open_.assign(gold=open_["problem_id"].map(gold["answer"])))
    if not found:
        return 0, total, pd.DataFrame(columns=COLUMNS)
    rows = pd.concat(found, ignore_index=True)
    counted = rows.groupby(COLUMNS[:-1], dropna=False).size().rename("samples").reset_index()
    counted = counted.sort_values(["samples", *COLUMNS[:-1]], ascending=[False] + [True] * 7)
    return len(rows), total, counted.reset_index(drop=True)
