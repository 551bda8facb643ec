"""Pass@k and majority voting as measured, and as extrapolated to more samples."""

import matplotlib.figure
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from testtime.present.figures.looks import look
from testtime.present.figures.parts import budget_axis, name_panel, note_problems, percent_axis
from testtime.present.figures.rows import as_in_study, unique
from testtime.present.figures.style import nothing, panels, place_legend
from testtime.present.registry import Figure
from testtime.study.vocabulary import ALL, CELL, INTERVAL, MAJORITY, PASS

FIGURE = Figure(
    title="More samples than were drawn (extrapolated)",
    see="Whether a larger budget is worth its cost: how far Pass@k, which a perfect judge of the "
    "samples would reach, and majority voting are expected to rise beyond the largest budget, and "
    "how unsure that is. Shaded: nothing was measured there.",
    computed="Solid: measured, over subsets of the pool. Dashed: extrapolated from the "
    "distribution of the problems' chances of success, with room for problems without any "
    "chance, and for votes from the shares of wrong answers too. Bands are for these problems "
    "under new samples, not for other problems, and hold as far as that distribution does "
    "(docs/statistics.md).",
    inputs=("forecast", "pass_at_k", "accuracy"),
    settings=("policies",),
)
COLUMNS = [*CELL, "method", "k", "extrapolated", "value", *INTERVAL, "n_problems"]
LOOKS = {PASS: "pass_at_n", MAJORITY: MAJORITY}


def data(
    *,
    forecast: pd.DataFrame,
    pass_at_k: pd.DataFrame,
    accuracy: pd.DataFrame,
    policies: dict[str, float],
) -> pd.DataFrame:
    """What was measured up to the largest budget, and the forecasts from there.

    Args:
        forecast: rows of `forecast.csv`.
        pass_at_k: rows of `pass_at_k.csv`.
        accuracy: rows of `accuracy.csv`.
        policies: parameters of each.

    Returns:
        dataset, policy, method (pass, majority), k, extrapolated, value, ci_low, ci_high (of
        forecasts only), n_problems.
    """
    votes = accuracy[(accuracy["method"] == MAJORITY) & (accuracy["difficulty"] == ALL)]
    smaller = [
        pass_at_k.rename(columns={"pass_at_k": "value"}).assign(method=PASS),
        votes.rename(columns={"accuracy": "value", "budget": "k"}),
    ]
    smaller = [rows.drop(columns=INTERVAL).assign(extrapolated=False) for rows in smaller]
    rows = pd.concat([forecast, *smaller], ignore_index=True).reindex(columns=COLUMNS)
    rows = rows.drop_duplicates([*CELL, "method", "k"])  # the forecast's own row of the pool
    return as_in_study(rows.sort_values(["method", "k"], kind="stable"), policies=policies)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Rows: datasets. Columns: policies."""
    if data.empty:
        return nothing("no sample was graded")
    datasets, policies = unique(data, "dataset"), unique(data, "policy")
    figure, axes = panels(len(datasets), len(policies), sharey=True)
    for row, dataset in enumerate(datasets):
        for column, policy in enumerate(policies):
            ax = axes[row, column]
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            for method in LOOKS:
                _curve(ax, here[here["method"] == method], method)
            if len(here):
                drawn = here.loc[~here["extrapolated"], "k"].max()
                ends = here["k"].min(), drawn, here["k"].max()
                budget_axis(ax, ends, "Samples k" if row == len(datasets) - 1 else None)
                ax.axvspan(drawn, ax.get_xlim()[1], color="#F2D27A", alpha=0.25, linewidth=0)
                note_problems(ax, here, dataset if len(datasets) > 1 else "")
            percent_axis(ax, "Pass@k, accuracy (%)" if column == 0 else None)
            if row == 0:
                name_panel(ax, policy)
    handles = [
        Line2D([], [], color=look(LOOKS[method]).color, marker=look(LOOKS[method]).marker or None)
        for method in LOOKS
    ]
    handles += [Line2D([], [], color="#555555", linestyle="--"), Patch(color="#F2D27A", alpha=0.35)]
    names = [
        "Pass@k",
        look(MAJORITY).label,
        "extrapolated, with interval",
        "beyond the samples drawn",
    ]
    place_legend(figure, handles, names)
    return figure


def _curve(ax: Axes, rows: pd.DataFrame, method: str) -> None:
    """Solid as far as samples were drawn, from there on dashed with its interval."""
    rows, style = rows.sort_values("k"), look(LOOKS[method])
    measured = rows[~rows["extrapolated"]]
    ax.plot(measured["k"], measured["value"], "-", color=style.color, marker=style.marker or None)
    beyond = pd.concat([measured.tail(1), rows[rows["extrapolated"]]])
    ax.plot(beyond["k"], beyond["value"], "--", color=style.color)
    ax.fill_between(
        beyond["k"], beyond["ci_low"], beyond["ci_high"],
        color=style.color, alpha=0.2, linewidth=0,
    )  # fmt: skip
