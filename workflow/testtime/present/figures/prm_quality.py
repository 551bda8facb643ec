"""Compute-optimal accuracy against a PRM's ability to judge steps, with a fitted log curve."""

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from testtime.compare.prm_worth import QUALITIES, log_fit, quality_against_accuracy, quality_column
from testtime.present.figures.looks import group_look
from testtime.present.figures.parts import error_bars, name_panel, note_problems
from testtime.present.figures.rows import as_in_study, unique
from testtime.present.figures.style import group_handles, nothing, panels, place_legend
from testtime.present.registry import Figure
from testtime.study.vocabulary import CELL, INTERVAL

FIGURE = Figure(
    title="Accuracy by PRM quality",
    see="Whether a PRM that judges steps better also leads to more right answers, policy by "
    "policy.",
    computed="The x axis is the PRM's quality measured against exact step labels on samples of the"
    " same policy (F1 as in ProcessBench: finding the first wrong step, and finding none where "
    "there is none). The y axis is the cross-fitted accuracy of the compute-optimal choice with "
    "that PRM, with its interval over problems. With three PRMs or more, a curve accuracy = a "
    "ln(quality) + b is fitted by least squares; with fewer there is none, as it would fit any "
    "points.",
    inputs=("compute_optimal", "prm_quality"),
    settings=("policies", "prms", "headline"),
    needs=("quality",),
)

FEWEST = 3  # least number of PRMs for a curve of two coefficients
COLUMNS = [*CELL, "prm", "budget", "measure", "quality", "accuracy", *INTERVAL, "n_problems"]
COLUMNS += ["slope", "intercept"]


def data(
    *,
    compute_optimal: pd.DataFrame,
    prm_quality: pd.DataFrame,
    policies: dict[str, float],
    prms: list[str],
    headline: int,
) -> pd.DataFrame:
    """Accuracy of the compute-optimal choice with each PRM, and the PRM's measured quality.

    Args:
        compute_optimal: rows of `compute_optimal.csv`.
        prm_quality: rows of `prm_quality.csv`, may be empty.
        policies: parameters of each.
        prms: of the study.
        headline: N.

    Returns:
        dataset, policy, prm, budget, measure (column of `prm_quality`), quality, accuracy, ci_low,
        ci_high (all in percent), n_problems, slope and intercept of accuracy = slope · ln(quality)
        + intercept over the policy's PRMs; empty with fewer than three.
    """
    measure = quality_column(prm_quality)
    chosen = compute_optimal[compute_optimal["budget"] == headline]
    if measure is None or chosen.empty:
        return pd.DataFrame(columns=COLUMNS)
    points = quality_against_accuracy(chosen, prm_quality, measure=measure)
    points = points[points["quality"].notna()].assign(measure=measure)
    keys = [*CELL, "prm"]
    points = points.merge(chosen[[*keys, "n_problems"]], on=keys)
    points[["slope", "intercept"]] = np.nan
    for _, group in points.groupby(CELL):
        fit = log_fit(group["quality"], group["accuracy"])
        if group["quality"].nunique() >= FEWEST:
            points.loc[group.index, ["slope", "intercept"]] = fit["slope"], fit["intercept"]
    return as_in_study(points, policies=policies, prms=prms)[COLUMNS]


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
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
                _point(ax, here[here["prm"] == prm], *group_look(prms, prm))
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
    place_legend(figure, group_handles(prms, linestyle=""), prms)
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
