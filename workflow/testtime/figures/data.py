"""Reading and choosing the rows that figures share."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from testtime.errors import UserError
from testtime.figures.style import save
from testtime.tables import write_csv

INTERVAL = ["accuracy", "ci_low", "ci_high"]


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table as written; only an empty cell is missing, a policy may be called "NA".

    Raises:
        UserError: the file is missing or has no header; the message names it.
    """
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}") from error
    except pd.errors.EmptyDataError as error:
        raise UserError(f"{path} is empty; delete it") from error


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
    keys = rows[column].map(lambda name: (rank.get(name, len(rank)), str(name)))
    return rows.loc[keys.sort_values(kind="stable").index]


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


def best_prm(prm_quality: pd.DataFrame | None, prms: list[str]) -> str | None:
    """The PRM that a figure with room for one shows: the best at judging steps.

    That is measured apart from any strategy's accuracy; without a measurement, the last one named
    in the study.
    """
    if not prms:
        return None
    if prm_quality is not None and len(prm_quality):
        column = quality_column(prm_quality)
        means = prm_quality.groupby("prm")[column].mean().reindex(prms).dropna()
        if len(means):
            return str(means.idxmax())
    return prms[-1]


QUALITIES = {
    "f1": "ProcessBench F1",
    "auc_first_wrong": "AUC at the first wrong step",
    "auc": "AUC of step scores",
    "quality": "Quality of step scores",
}


def quality_column(prm_quality: pd.DataFrame) -> str:
    """The column of `prm_quality.csv` that measures process supervision.

    Raises:
        UserError: it has none of the known ones.
    """
    for column in QUALITIES:
        if column in prm_quality and prm_quality[column].notna().any():
            return column
    raise UserError(
        f"prm_quality.csv has none of the columns {', '.join(QUALITIES)}; "
        f"found: {', '.join(prm_quality.columns)}"
    )
