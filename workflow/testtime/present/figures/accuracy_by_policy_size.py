"""Accuracy against the policy's size at one budget: a line per method, a panel per PRM."""

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

from testtime.present.figures.looks import count, look, methods_in_order
from testtime.present.figures.parts import line, name_panel, note_problems, percent_axis
from testtime.present.figures.rows import (
    LINES,
    as_in_study,
    on_every_prm,
    one_line_per_method,
    unique,
)
from testtime.present.figures.style import legend, nothing, panels
from testtime.present.registry import Figure
from testtime.study.vocabulary import ALL, COT, NONE

FIGURE = Figure(
    title="Accuracy by policy size",
    see="How much of the gap between small and large policies each method closes.",
    computed="Expected accuracy at one budget (below the axis), against the policy's number of "
    "parameters on a logarithmic axis, a panel per PRM. Bands are intervals over problems. "
    "Scoring and vote are those of the config (``figures:``).",
    inputs=("accuracy",),
    settings=("policies", "prms", "figures", "headline"),
    needs=("two_policies",),
)
MARGIN = 0.2  # of the axis beyond the first and the last policy, as a share of what is between them
LABEL = 0.55  # inches that a policy's name needs


def data(
    *,
    accuracy: pd.DataFrame,
    policies: dict[str, float],
    prms: list[str],
    figures: dict[str, str],
    headline: int,
) -> pd.DataFrame:
    """Every method at one budget (CoT at its own), by policy size.

    Args:
        accuracy: rows of `accuracy.csv`.
        policies: parameters of each.
        prms: of the study.
        figures: the scoring and vote to draw if a method has several.
        headline: N of every method but CoT.

    Returns:
        Columns of LINES, and parameters, shown_budget.
    """
    lines = one_line_per_method(accuracy[accuracy["difficulty"] == ALL], **figures)
    lines = lines[(lines["budget"] == headline) | (lines["method"] == COT)]
    rows = on_every_prm(lines[LINES], prms)
    rows = rows.assign(parameters=rows["policy"].map(policies), shown_budget=headline)
    rows = rows.sort_values(["method", "parameters", "policy"], kind="stable")
    return as_in_study(rows, prms=prms)


def _closest(sizes: list[float]) -> float:
    """The least distance of two sizes, as a share of the axis."""
    places = np.sort(np.log10(sizes))
    share = np.diff(places) / (places[-1] - places[0]) / (1 + 2 * MARGIN) if len(places) > 1 else 1
    return max(float(np.min(share)), 0.1)  # beyond that figures become too wide


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Rows: datasets. Columns: PRMs. The x axis is logarithmic in parameters."""
    if data.empty:
        return nothing("no method ran at the budget that this figure compares")
    datasets, prms = unique(data, "dataset"), unique(data, "prm")
    methods = methods_in_order(data["method"])
    sizes = data[["policy", "parameters"]].drop_duplicates().groupby("parameters")["policy"]
    labels = {size: "\n".join([*names, count(size)]) for size, names in sizes}
    width = max(2.4, 0.75 * len(labels), LABEL / _closest(list(labels)))
    figure, axes = panels(len(datasets), len(prms), size=(width, 1.9), sharex=True, sharey="row")
    for row, dataset in enumerate(datasets):
        for column, prm in enumerate(prms):
            ax = axes[row, column]
            here = data[(data["dataset"] == dataset) & (data["prm"] == prm)]
            for method in methods:
                chosen = here[here["method"] == method]
                if len(chosen):
                    line(ax, chosen, look(method), x="parameters")
            ax.set_xscale("log")
            tilt = {"rotation": 30, "ha": "right"} if len(labels) > 5 else {}
            ax.set_xticks(list(labels), list(labels.values()), **tilt)
            ax.xaxis.set_minor_locator(NullLocator())
            ax.margins(x=MARGIN)
            percent_axis(ax, f"{dataset}\nAccuracy (%)" if column == 0 else None)
            if row == 0 and prm != NONE:
                name_panel(ax, f"PRM: {prm}")
            if len(here):
                note_problems(ax, here)
    figure.supxlabel(f"Policy and its parameters (budget N = {data['shown_budget'].iloc[0]})")
    legend(figure, methods)
    return figure
