"""Reading a policy's samples, scores and searches back, with what their paths say of them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from testtime.data.store import read_parquet
from testtime.study.blocks import SINGLE

GRADED = ["method", "prm", "budget", "problem_id", "path", "text"]


def read_generations(paths: Sequence[str], columns: list[str] | None = None) -> pd.DataFrame:
    """Stack `generations/DATASET/POLICY/BLOCK/SHARD.parquet`, adding those names."""
    return _stack(paths, {"dataset": -4, "policy": -3, "block": -2}, columns)


def read_scores(paths: Sequence[str]) -> pd.DataFrame:
    """Stack `scores/DATASET/POLICY/PRM/BLOCK/SHARD.parquet`, adding those names."""
    return _stack(paths, {"dataset": -5, "policy": -4, "prm": -3, "block": -2})


def read_searches(paths: Sequence[str], columns: list[str] | None = None) -> pd.DataFrame:
    """Stack `searches/DATASET/POLICY/PRM/METHOD/BLOCK/SHARD.parquet`.

    Adds `prm`, `method` and `budget`: N of a tree, 0 for a nested pool of subtrees.
    """
    rows = _stack(paths, {"prm": -4, "method": -3, "block": -2}, columns)
    return rows.assign(budget=[_tree_budget(block) for block in rows.pop("block")])


def read_texts(generations: Sequence[str], searches: Sequence[str]) -> pd.DataFrame:
    """Every text of a policy as grading wants it: method, prm, budget, problem_id, path, text.

    The method of a generation is "cot", "difficulty" (held out) or "pool"; its path is the sample's
    index. The path of a nested search is its subtree's index.
    """
    drawn = read_generations(generations, ["problem_id", "sample", "text"])
    single = drawn["block"].isin(SINGLE)
    drawn["method"] = drawn["block"].where(single, "pool")
    drawn = drawn.rename(columns={"sample": "path"}).assign(prm="none", budget=0)
    found = read_searches(searches, ["problem_id", "path", "subtree", "text"])
    found["path"] = found["path"].where(found["budget"] > 0, found["subtree"])
    texts = pd.concat([drawn[GRADED], found.reindex(columns=GRADED)], ignore_index=True)
    return texts.astype({"budget": "int64", "path": "int64"})


def _stack(
    paths: Sequence[str], parts: dict[str, int], columns: list[str] | None = None
) -> pd.DataFrame:
    frames = []
    for path in paths:
        names = {column: Path(path).parts[index] for column, index in parts.items()}
        frames.append(read_parquet(path, columns=columns).assign(**names))
    if not frames:
        return pd.DataFrame(columns=[*(columns or []), *parts])
    return pd.concat(frames, ignore_index=True)


def _tree_budget(block: str) -> int:
    return 0 if "-" in block else int(block)


def read_cells(paths: Sequence[str], columns: list[str] | None = None) -> pd.DataFrame:
    """Stack `STAGE/DATASET/POLICY.parquet` files, adding `dataset` and `policy`."""
    frames = [
        read_parquet(path, columns=columns).assign(
            dataset=Path(path).parts[-2], policy=Path(path).name.removesuffix(".parquet")
        )
        for path in paths
    ]
    return pd.concat(frames, ignore_index=True)
