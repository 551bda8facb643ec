"""Accuracy against budget: a panel per policy and PRM, a line per method."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from testtime.present.figures.data import (
    INTERVAL,
    by_size,
    in_order,
    on_every_prm,
    one_line_per_method,
    unique,
)
from testtime.present.figures.looks import look, methods_in_order
from testtime.present.figures.style import (
    budget_axis,
    legend,
    line,
    name_panel,
    nothing,
    panels,
    percent_axis,
    styled,
)

COLUMNS = ["dataset", "policy", "prm", "method", "scoring", "vote", "budget", *INTERVAL]


def accuracy_by_budget_data(
    accuracy: pd.DataFrame,
    pass_at_k: pd.DataFrame,
    *,
    policies: dict[str, float],
    prms: list[str],
    scoring: str,
    vote: str,
) -> pd.DataFrame:
    """Lines of every panel, Majority, CoT and Pass@N repeated for each PRM.

    Args:
        accuracy: rows of `accuracy.csv`.
        pass_at_k: rows of `pass_at_k.csv`.
        policies: parameters of each.
        prms: of the study, in its order.
        scoring: the scoring that is drawn where a method has several.
        vote: the vote likewise.

    Returns:
        dataset, policy, prm, method, scoring, vote, budget, accuracy, ci_low, ci_high, n_problems.
    """
    rows = one_line_per_method(accuracy[accuracy["difficulty"] == "all"], scoring, vote)
    sizes = rows.groupby("dataset")["n_problems"].max()
    ceiling = pass_at_k.rename(columns={"k": "budget", "pass_at_k": "accuracy"}).assign(
        prm="none", method="pass_at_n", scoring="none", vote="none"
    )
    ceiling["n_problems"] = ceiling["dataset"].map(sizes)
    budgets = set(rows.loc[rows["method"] != "cot", "budget"])
    ceiling = ceiling[ceiling["budget"].isin(budgets)]
    wanted = [*COLUMNS, "n_problems"]
    data = on_every_prm(pd.concat([rows[wanted], ceiling[wanted]], ignore_index=True), prms)
    data = data.sort_values(["dataset", "method", "budget"], kind="stable")
    data = in_order(in_order(data, "prm", prms), "policy", by_size(policies))
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)


@styled
def draw_accuracy_by_budget(data: pd.DataFrame) -> Figure:
    """Rows: dataset and policy. Columns: PRMs."""
    if data.empty:
        return nothing("no accuracy was computed")
    rows = list(data[["dataset", "policy"]].drop_duplicates().itertuples(index=False, name=None))
    prms = unique(data, "prm")
    methods = methods_in_order(data["method"])
    figure, axes = panels(len(rows), len(prms), sharex=True, sharey="row")
    budgets = data.loc[data["method"] != "cot", "budget"]
    for row, (dataset, policy) in enumerate(rows):
        here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
        for column, prm in enumerate(prms):
            ax = axes[row, column]
            draw_methods(ax, here[here["prm"] == prm], methods)
            budget_axis(ax, budgets, "Budget N" if row == len(rows) - 1 else None)
            percent_axis(ax, f"{policy}\nAccuracy (%)" if column == 0 else None)
            if row == 0 and prm != "none":
                name_panel(ax, f"PRM: {prm}")
            note_problems(ax, here, dataset if data["dataset"].nunique() > 1 else "")
    legend(figure, methods)
    return figure


def draw_methods(ax: Axes, data: pd.DataFrame, methods: list[str]) -> None:
    """Every method's line; greedy CoT, which has no budget, as a level across the panel."""
    for method in methods:
        chosen = data[data["method"] == method]
        if chosen.empty:
            continue
        if method == "cot":
            style, level = look("cot"), chosen.iloc[0]
            ax.axhline(level["accuracy"], color=style.color, linestyle=style.line, zorder=1)
            ax.axhspan(
                level["ci_low"], level["ci_high"], color=style.color, alpha=0.08, linewidth=0
            )
        else:
            line(ax, chosen, look(method))


def note_problems(ax: Axes, data: pd.DataFrame, prefix: str = "") -> None:
    """The number of problems, in the panel's corner."""
    text = ", ".join(filter(None, [prefix, f"{int(data['n_problems'].max())} problems"]))
    ax.text(
        0.98,
        0.03,
        text,
        transform=ax.transAxes,
        ha="right",
        va="bottom",
        fontsize=6,
        color="#555",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.6},
    )
