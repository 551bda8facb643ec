"""Reading back a policy's samples, scores and searches, with the names recorded in their files."""

from collections.abc import Iterable

import pandas as pd

from testtime.data.store import read_places
from testtime.study.blocks import SINGLE
from testtime.study.vocabulary import CELL, NONE, POOL

GRADED = ["method", "prm", "budget", "problem_id", "path", "thinking", "text"]


def read_generations(paths: Iterable[str], columns: list[str] | None = None) -> pd.DataFrame:
    """Stack files of generations, adding dataset, policy and block.

    And `thinking`, the thinking budget of a row, 0 where its policy does not think.
    """
    return _with_thinking(read_places(paths, [*CELL, "block"], columns))


def read_scores(paths: Iterable[str]) -> pd.DataFrame:
    """Stack files of scores, adding dataset, policy, prm, block and thinking as for generations."""
    return _with_thinking(read_places(paths, [*CELL, "prm", "block"]))


def read_searches(paths: Iterable[str], columns: list[str] | None = None) -> pd.DataFrame:
    """Stack files of searches.

    Adds `prm`, `method` and `budget`: N of a tree, 0 for a nested pool of subtrees. The paths of a
    problem's trees are numbered through, in the order of the trees (`subtree`), those of a nested
    search by their subtree, and the candidates that it pruned (not `kept`) from there on.
    """
    rows = read_places(paths, ("prm", "method", "block"), columns)
    rows = rows.assign(budget=[_tree_budget(block) for block in rows.pop("block")])
    if rows.empty:
        return rows
    search = ["prm", "method", "budget", "problem_id"]
    nested = rows["budget"] == 0
    beyond = rows["subtree"].where(nested).max() + 1
    others = rows[nested & ~rows["kept"]].sort_values(["subtree", "path"], kind="stable")
    others = others.groupby(search, sort=False).cumcount() + beyond
    rows["path"] = rows.groupby(search, sort=False).cumcount().where(~nested, rows["subtree"])
    rows.loc[others.index, "path"] = others.astype("int64")
    return rows


def read_cells(paths: Iterable[str], columns: list[str] | None = None) -> pd.DataFrame:
    """Stack files that exist once per dataset and policy, adding both."""
    return read_places(paths, CELL, columns)


def read_texts(generations: Iterable[str], searches: Iterable[str]) -> pd.DataFrame:
    """Every text of a policy as grading takes it: the columns GRADED.

    The method of a generation is "cot", "difficulty" (held out) or "pool"; its path is the sample's
    index. Those of searches are numbered as by `read_searches`.
    """
    drawn = read_generations(generations, ["problem_id", "sample", "thinking", "text"])
    single = drawn["block"].isin(SINGLE)
    drawn["method"] = drawn["block"].where(single, POOL)
    drawn = drawn.rename(columns={"sample": "path"}).assign(prm=NONE, budget=0)
    columns = ["problem_id", "path", "subtree", "kept", "text"]
    found = read_searches(searches, columns).assign(thinking=0)
    texts = pd.concat([drawn[GRADED], found.reindex(columns=GRADED)], ignore_index=True)
    return texts.astype(dict.fromkeys(("budget", "path", "thinking"), "int64"))


def whole_thoughts(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of each policy at its largest thinking budget.

    Args:
        rows: of one policy, or of several with dataset and policy; those without `thinking` stay.
    """
    if "thinking" not in rows:
        return rows
    keys = [name for name in CELL if name in rows]
    largest = rows.groupby(keys)["thinking"].transform("max") if keys else rows["thinking"].max()
    return rows[rows["thinking"] == largest]


def _with_thinking(rows: pd.DataFrame) -> pd.DataFrame:
    thinking = rows["thinking"] if "thinking" in rows else pd.Series(0, index=rows.index)
    return rows.assign(thinking=thinking.fillna(0).astype("int64"))


def _tree_budget(block: str) -> int:
    return 0 if "-" in block else int(block)
