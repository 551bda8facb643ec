"""Accuracy against the policy's size at one budget: a line per method, a panel per PRM."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from testtime.present.figures.accuracy_by_budget import COLUMNS, note_problems
from testtime.present.figures.data import in_order, on_every_prm, one_line_per_method, unique
from testtime.present.figures.looks import count, look, methods_in_order
from testtime.present.figures.style import (
    legend,
    line,
    name_panel,
    nothing,
    panels,
    percent_axis,
    styled,
)


def accuracy_by_policy_size_data(
    accuracy: pd.DataFrame,
    *,
    policies: dict[str, float],
    prms: list[str],
    budget: int,
    scoring: str,
    vote: str,
) -> pd.DataFrame:
    """Every method at one budget (CoT at its own), by policy size.

    Args:
        accuracy: rows of `accuracy.csv`.
        policies: parameters of each.
        prms: of the study.
        budget: N of every method but CoT.
        scoring: the scoring drawn where a method has several.
        vote: the vote likewise.

    Returns:
        Columns of `accuracy_by_budget_data`, and parameters, shown_budget.
    """
    rows = one_line_per_method(accuracy[accuracy["difficulty"] == "all"], scoring, vote)
    rows = rows[(rows["budget"] == budget) | (rows["method"] == "cot")]
    data = on_every_prm(rows[[*COLUMNS, "n_problems"]], prms)
    data = data.assign(parameters=data["policy"].map(policies), shown_budget=budget)
    data = data.sort_values(["method", "parameters", "policy"], kind="stable")
    data = in_order(data, "prm", prms)
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)


@styled
def draw_accuracy_by_policy_size(data: pd.DataFrame) -> Figure:
    """Rows: datasets. Columns: PRMs. The x axis is logarithmic in parameters."""
    if data.empty:
        return nothing("no method ran at the budget that this figure compares")
    datasets, prms = unique(data, "dataset"), unique(data, "prm")
    methods = methods_in_order(data["method"])
    sizes = data[["policy", "parameters"]].drop_duplicates().groupby("parameters")["policy"]
    labels = {size: "\n".join([*names, count(size)]) for size, names in sizes}
    width = max(2.4, 0.75 * len(labels))
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
            ax.margins(x=0.2)
            percent_axis(ax, f"{dataset}\nAccuracy (%)" if column == 0 else None)
            if row == 0 and prm != "none":
                name_panel(ax, f"PRM: {prm}")
            if len(here):
                note_problems(ax, here)
    figure.supxlabel(f"Policy and its parameters (budget N = {data['shown_budget'].iloc[0]})")
    legend(figure, methods)
    return figure
