"""TTS accuracy against a PRM's ability to judge steps, with a fitted log curve."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from testtime.figures.accuracy_by_budget import note_problems
from testtime.figures.data import (
    INTERVAL,
    QUALITIES,
    by_size,
    in_order,
    one_line_per_method,
    quality_column,
    unique,
)
from testtime.figures.style import (
    error_bars,
    legend,
    look,
    methods_in_order,
    nothing,
    panels,
    percent_axis,
    styled,
)

FEWEST = 3  # PRMs that a curve of two coefficients takes


def prm_quality_data(
    accuracy: pd.DataFrame,
    prm_quality: pd.DataFrame,
    *,
    policies: dict[str, float],
    budget: int,
    scoring: str,
    vote: str,
) -> pd.DataFrame:
    """Accuracy of every PRM-guided method at one budget beside the PRM's measured quality.

    Args:
        accuracy: rows of `accuracy.csv`.
        prm_quality: prm and one of the columns of QUALITIES; where it has a policy column too,
            each policy's own value is used.
        policies: parameters of each.
        budget: N.
        scoring: the scoring drawn where a method has several.
        vote: the vote likewise.

    Returns:
        dataset, policy, prm, method, scoring, vote, budget, accuracy, ci_low, ci_high, n_problems,
        measure (column of `prm_quality`), quality, slope, intercept of accuracy =
        slope · ln(quality) + intercept over the PRMs, least squares; empty with fewer than three.
    """
    rows = one_line_per_method(accuracy[accuracy["difficulty"] == "all"], scoring, vote)
    rows = rows[(rows["prm"] != "none") & (rows["budget"] == budget)]
    measure = quality_column(prm_quality)
    keys = ["prm", "policy"] if "policy" in prm_quality else ["prm"]
    quality = prm_quality.groupby(keys)[measure].mean().rename("quality").reset_index()
    columns = ["dataset", "policy", "prm", "method", "scoring", "vote", "budget", *INTERVAL]
    data = rows[[*columns, "n_problems"]].merge(quality, on=keys, how="inner")
    data["measure"] = measure
    data[["slope", "intercept"]] = np.nan
    for _, group in data.groupby(["dataset", "policy", "method"]):
        coefficients = log_fit(group["quality"], group["accuracy"])
        if coefficients is not None:
            data.loc[group.index, ["slope", "intercept"]] = coefficients
    data = in_order(data.sort_values(["method", "quality", "prm"]), "policy", by_size(policies))
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)


def log_fit(quality: pd.Series, accuracy: pd.Series) -> tuple[float, float] | None:
    """Least-squares slope and intercept of accuracy on ln(quality); None below three values."""
    if quality.nunique() < FEWEST or (quality <= 0).any():
        return None
    slope, intercept = np.polyfit(np.log(quality), accuracy, 1)
    return float(slope), float(intercept)


@styled
def draw_prm_quality(data: pd.DataFrame) -> Figure:
    """One panel per policy, a row per dataset; a curve where there are three PRMs or more."""
    if data.empty:
        return nothing("no PRM has both a measured quality and an accuracy")
    rows, columns = unique(data, "dataset"), unique(data, "policy")
    methods = methods_in_order(data["method"])
    span = data["quality"].max() - data["quality"].min() or 0.1
    ends = data.groupby("dataset").agg(low=("ci_low", "min"), high=("ci_high", "max"))
    figure, axes = panels(len(rows), len(columns), size=(1.8, 1.8), sharex=True, sharey="row")
    for row, dataset in enumerate(rows):
        for column, policy in enumerate(columns):
            ax = axes[row, column]
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            for i, method in enumerate(methods):
                dodge = (i - (len(methods) - 1) / 2) * 0.02 * span
                _points(ax, here[here["method"] == method], method, dodge)
            _name_prms(ax, here)
            # Room above the points for the PRMs' names.
            low, high = ends.loc[dataset]
            ax.set_ylim(low - 0.1 * (high - low), high + 0.6 * (high - low))
            if row == 0:
                ax.set_title(policy)
            percent_axis(ax, f"{dataset}\nAccuracy (%)" if column == 0 else None)
            ax.margins(x=0.25)
            if len(here):
                note_problems(ax, here)
    measure = QUALITIES.get(data["measure"].iloc[0], data["measure"].iloc[0])
    figure.supxlabel(f"{measure} (budget N = {data['budget'].iloc[0]})")
    legend(figure, methods)
    return figure


def _points(ax: Axes, points: pd.DataFrame, method: str, dodge: float) -> None:
    if points.empty:
        return
    style = look(method)
    error_bars(ax, points["quality"] + dodge, points, ecolor=style.color, alpha=0.6)
    ax.plot(points["quality"] + dodge, points["accuracy"], style.marker, color=style.color)
    slope, intercept = points[["slope", "intercept"]].iloc[0]
    if np.isfinite(slope):
        x = np.linspace(points["quality"].min(), points["quality"].max(), 50)
        ax.add_line(Line2D(x, slope * np.log(x) + intercept, color=style.color, linewidth=1))


def _name_prms(ax: Axes, here: pd.DataFrame) -> None:
    for quality, names in here.groupby("quality")["prm"]:
        ax.text(
            quality,
            0.99,
            " ".join(sorted(set(names))),
            transform=ax.get_xaxis_transform(),
            rotation=90,
            ha="center",
            va="top",
            fontsize=5.5,
            color="#666",
        )
