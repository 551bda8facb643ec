"""Reading and choosing the rows that figures share."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from testtime.data.store import write_csv
from testtime.errors import UserError
from testtime.present.figures.looks import group_look
from testtime.present.figures.style import save

INTERVAL = ["accuracy", "ci_low", "ci_high"]


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table as written; only an empty cell is missing, a policy may be called "NA".

    A table of nothing, written without a header, is an empty frame.

    Raises:
        UserError: the file is missing; the message names it.
    """
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}") from error
    except pd.errors.EmptyDataError:
        return pd.DataFrame()


def render(
    data: pd.DataFrame,
    draw: Callable[[pd.DataFrame], Figure],
    *,
    table: str | Path,
    images: list[str] | tuple[str, ...],
) -> None:
    """Write a figure's data, then draw the figure from that file alone."""
    write_csv(data, table)
    save(draw(read_csv(table)), *images)


def by_size(policies: Mapping[str, float]) -> list[str]:
    """Policies from few to many parameters; equal sizes keep the study's order."""
    return sorted(policies, key=lambda name: policies[name])


def in_order(rows: pd.DataFrame, column: str, order: list[str]) -> pd.DataFrame:
    """Rows sorted (stably) so that `column` follows `order`; names outside it go last."""
    rank = {name: i for i, name in enumerate(order)}
    keys = [(rank.get(name, len(rank)), str(name)) for name in rows[column]]
    return rows.iloc[sorted(range(len(keys)), key=keys.__getitem__)]


def one_line_per_method(accuracy: pd.DataFrame, scoring: str, vote: str) -> pd.DataFrame:
    """Keep one scoring and vote per method: the given ones where the method has them.

    A method without a choice (CoT, majority voting) keeps what it has; one without the given
    pair keeps its first pair by name.

    Args:
        accuracy: rows of `accuracy.csv`.
        scoring: wanted scoring.
        vote: wanted vote.
    """
    pairs = accuracy[["method", "scoring", "vote"]].drop_duplicates()
    kept = []
    for method, options in pairs.groupby("method"):
        known = set(options[["scoring", "vote"]].itertuples(index=False, name=None))
        wanted = [(scoring, vote), ("none", vote), ("none", "majority"), ("none", "none")]
        chosen = next((pair for pair in wanted if pair in known), min(known))
        kept.append((method, *chosen))
    keep = pd.MultiIndex.from_tuples(kept, names=["method", "scoring", "vote"])
    return accuracy[pd.MultiIndex.from_frame(accuracy[["method", "scoring", "vote"]]).isin(keep)]


def on_every_prm(rows: pd.DataFrame, prms: list[str]) -> pd.DataFrame:
    """Repeat rows that use no PRM (prm "none") for each PRM, so that every panel has them.

    With no PRM in the study they keep "none".
    """
    without = rows[rows["prm"] == "none"]
    if not prms:
        return without
    copies = [without.assign(prm=prm) for prm in prms]
    return pd.concat([rows[rows["prm"] != "none"], *copies], ignore_index=True)


def unique(data: pd.DataFrame, column: str) -> list:
    """Values of a column in order of appearance."""
    return list(data[column].drop_duplicates())


def fitted(compute_optimal: pd.DataFrame, binning: str = "level") -> pd.DataFrame:
    """Rows of `compute_optimal.csv` for one way of binning difficulty."""
    if "binning" in compute_optimal and binning in set(compute_optimal["binning"]):
        return compute_optimal[compute_optimal["binning"] == binning]
    return compute_optimal


QUALITIES = {
    "f1": "ProcessBench F1",
    "auc": "AUC of step scores",
    "auc_first_wrong": "AUC at the first wrong step",
}


def quality_column(prm_quality: pd.DataFrame) -> str | None:
    """The first of QUALITIES that `prm_quality.csv` holds; None where nothing was measured."""
    for column in QUALITIES:
        if column in prm_quality and prm_quality[column].notna().any():
            return column
    return None


def best_prm(prm_quality: pd.DataFrame | None, prms: list[str]) -> str | None:
    """The PRM that a figure with room for one shows: the best at judging steps.

    That is measured apart from any strategy's accuracy; without a measurement, the last one named
    in the study.
    """
    column = None if prm_quality is None else quality_column(prm_quality)
    if column is None or not prms:
        return prms[-1] if prms else None
    means = prm_quality.groupby("prm")[column].mean().reindex(prms)
    return str(means.idxmax()) if means.notna().any() else prms[-1]


def group_color(names: list[str], name: str) -> tuple[str, str]:
    """Colour and marker of a PRM (or policy) by its place among all."""
    return group_look(names.index(name))
