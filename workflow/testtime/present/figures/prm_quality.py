"""Compute-optimal accuracy against a PRM's ability to judge steps, with a fitted log curve."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from testtime.compare.prm_quality import log_fit, quality_against_accuracy
from testtime.present.figures.accuracy_by_budget import note_problems
from testtime.present.figures.data import (
    QUALITIES,
    by_size,
    fitted,
    group_color,
    in_order,
    quality_column,
    unique,
)
from testtime.present.figures.style import (
    error_bars,
    name_panel,
    nothing,
    panels,
    place_legend,
    styled,
)

FEWEST = 3  # PRMs that a curve of two coefficients takes
COLUMNS = ["dataset", "policy", "prm", "budget", "measure", "quality", "accuracy"]


def prm_quality_data(
    compute_optimal: pd.DataFrame,
    prm_quality: pd.DataFrame,
    *,
    policies: dict[str, float],
    prms: list[str],
    budget: int,
) -> pd.DataFrame:
    """Accuracy of the compute-optimal choice with each PRM beside the PRM's measured quality.

    Args:
        compute_optimal: rows of `compute_optimal.csv`.
        prm_quality: rows of `prm_quality.csv`, may be empty.
        policies: parameters of each.
        prms: of the study.
        budget: N.

    Returns:
        dataset, policy, prm, budget, measure (column of `prm_quality`), quality, accuracy, ci_low,
        ci_high (all in percent), n_problems, slope and intercept of accuracy = slope · ln(quality)
        + intercept over the policy's PRMs; empty with fewer than three.
    """
    measure = quality_column(prm_quality)
    rows = fitted(compute_optimal)
    rows = rows[rows["budget"] == budget]
    ends = ["ci_low", "ci_high", "n_problems", "slope", "intercept"]
    if measure is None or rows.empty:
        return pd.DataFrame(columns=[*COLUMNS, *ends])
    points, _ = quality_against_accuracy(rows, prm_quality, measure=measure)
    points = points[points["quality"].notna()].assign(measure=measure)
    keys = ["dataset", "policy", "prm"]
    points = points.merge(rows[[*keys, "n_problems"]], on=keys)
    points[["slope", "intercept"]] = np.nan
    for _, group in points.groupby(["dataset", "policy"]):
        fit = log_fit(group["quality"], group["accuracy"])
        if group["quality"].nunique() >= FEWEST:
            points.loc[group.index, ["slope", "intercept"]] = fit["slope"], fit["intercept"]
    data = in_order(in_order(points, "prm", prms), "policy", by_size(policies))
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)[[*COLUMNS, *ends]]


@styled
def draw_prm_quality(data: pd.DataFrame) -> Figure:
    """One panel per policy, a row per dataset; a curve where there are three PRMs or more."""
    if data.empty:
        return nothing("no PRM has both a measured quality and a compute-optimal accuracy")
    rows, columns = unique(data, "dataset"), unique(data, "policy")
    prms = unique(data, "prm")
    figure, axes = panels(len(rows), len(columns), size=(1.7, 1.7), sharex=True, sharey="row")
    for row, dataset in enumerate(rows):
        for column, policy in enumerate(columns):
            ax = axes[row, column]
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            for prm in prms:
                _point(ax, here[here["prm"] == prm], *group_color(prms, prm))
            _curve(ax, here)
            if row == 0:
                name_panel(ax, policy)
            if column == 0:
                ax.set_ylabel(f"{dataset}\nAccuracy (%)")
            ax.margins(x=0.2, y=0.2)
            if len(here):
                note_problems(ax, here)
    measure = QUALITIES[data["measure"].iloc[0]]
    figure.supxlabel(f"{measure} (%), budget N = {int(data['budget'].iloc[0])}")
    looks = [group_color(prms, prm) for prm in prms]
    handles = [Line2D([], [], color=c, marker=m, linestyle="") for c, m in looks]
    place_legend(figure, handles, prms)
    return figure


def _point(ax: Axes, point: pd.DataFrame, color: str, marker: str) -> None:
    if len(point):
        error_bars(ax, point["quality"], point, ecolor=color)
        ax.plot(point["quality"], point["accuracy"], marker, color=color)


def _curve(ax: Axes, here: pd.DataFrame) -> None:
    if here.empty or not np.isfinite(here["slope"].iloc[0]):
        return
    slope, intercept = here[["slope", "intercept"]].iloc[0]
    x = np.linspace(here["quality"].min(), here["quality"].max(), 50)
    ax.plot(x, slope * np.log(x) + intercept, color="#555555", linewidth=1, zorder=1)
    text = f"{slope:.1f} ln x {intercept:+.0f}"
    ax.text(0.03, 0.97, text, transform=ax.transAxes, va="top", fontsize=6, color="#555")
