"""Choosing and ordering rows, for all figures."""

from collections.abc import Mapping, Sequence

import pandas as pd

from testtime.study.methods import rules
from testtime.study.vocabulary import CELL, INTERVAL, MAJORITY, NONE, STRATEGY

# Columns of lines of accuracy.
LINES = [*CELL, *STRATEGY, "accuracy", *INTERVAL, "n_problems"]


def by_size(policies: Mapping[str, float]) -> list[str]:
    """Policies from few to many parameters; equal sizes keep the study's order."""
    return sorted(policies, key=lambda name: policies[name])


def in_order(rows: pd.DataFrame, column: str, order: Sequence[str]) -> pd.DataFrame:
    """Rows sorted (stably) so that `column` follows `order`; names outside it go last."""
    rank = {name: i for i, name in enumerate(order)}
    keys = [(rank.get(name, len(rank)), str(name)) for name in rows[column]]
    return rows.iloc[sorted(range(len(keys)), key=keys.__getitem__)]


def as_in_study(
    rows: pd.DataFrame,
    *,
    policies: Mapping[str, float] | None = None,
    prms: list[str] | None = None,
) -> pd.DataFrame:
    """Rows by dataset, then policy from small to large, then PRM in the study's order.

    Args:
        rows: with the columns dataset, policy and prm; the sort is stable.
        policies: parameters of each, None to leave their order.
        prms: of the study, None to leave their order.
    """
    if prms is not None:
        rows = in_order(rows, "prm", prms)
    if policies is not None:
        rows = in_order(rows, "policy", by_size(policies))
    return rows.sort_values("dataset", kind="stable").reset_index(drop=True)


def one_line_per_method(accuracy: pd.DataFrame, scoring: str, vote: str) -> pd.DataFrame:
    """Keep one scoring and vote per method: the given ones if the method has them.

    Rules, variants of the votes that stand here, are left out. A method without a choice (CoT,
    majority voting) keeps what it has; one without the given scoring keeps its first one by name,
    with the given vote.

    Args:
        accuracy: rows of `accuracy.csv`.
        scoring: wanted scoring.
        vote: wanted vote.
    """
    accuracy = accuracy[~accuracy["method"].isin(rules())]
    pairs = accuracy[["method", "scoring", "vote"]].drop_duplicates()
    kept = []
    for method, options in pairs.groupby("method"):
        known = set(options[["scoring", "vote"]].itertuples(index=False, name=None))
        wanted = [(scoring, vote), (NONE, vote), (NONE, MAJORITY), (NONE, NONE)]
        others = {pair for pair in known if pair[1] == vote} or known
        chosen = next((pair for pair in wanted if pair in known), min(others))
        kept.append((method, *chosen))
    keep = pd.MultiIndex.from_tuples(kept, names=["method", "scoring", "vote"])
    return accuracy[pd.MultiIndex.from_frame(accuracy[["method", "scoring", "vote"]]).isin(keep)]


def on_every_prm(rows: pd.DataFrame, prms: list[str]) -> pd.DataFrame:
    """Repeat rows that use no PRM (prm "none") for each PRM, so that every panel has them.

    With no PRM in the study they keep "none".
    """
    without = rows[rows["prm"] == NONE]
    if not prms:
        return without
    copies = [without.assign(prm=prm) for prm in prms]
    return pd.concat([rows[rows["prm"] != NONE], *copies], ignore_index=True)


def unique(data: pd.DataFrame, column: str) -> list:
    """Values of a column in order of appearance."""
    return list(data[column].drop_duplicates())
