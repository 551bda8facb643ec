"""Accuracy against budget by difficulty: a row per policy, a column per level."""

import pandas as pd
from matplotlib.figure import Figure

from testtime.present.figures.accuracy_by_budget import COLUMNS, draw_methods, note_problems
from testtime.present.figures.data import by_size, in_order, on_every_prm, one_line_per_method
from testtime.present.figures.looks import methods_in_order
from testtime.present.figures.style import (
    budget_axis,
    legend,
    name_panel,
    nothing,
    panels,
    percent_axis,
    styled,
)

LEVELS = ("easy", "medium", "hard")


def accuracy_by_difficulty_data(
    accuracy: pd.DataFrame,
    *,
    policies: dict[str, float],
    prms: list[str],
    shown_prm: str | None,
    scoring: str,
    vote: str,
) -> pd.DataFrame:
    """Lines by level, for every PRM; `shown` marks the PRM that is drawn.

    Args:
        accuracy: rows of `accuracy.csv`.
        policies: parameters of each.
        prms: of the study.
        shown_prm: the PRM drawn, or None without PRMs.
        scoring: the scoring drawn where a method has several.
        vote: the vote likewise.

    Returns:
        Columns of `accuracy_by_budget_data`, and difficulty, shown.
    """
    rows = one_line_per_method(accuracy[accuracy["difficulty"].isin(LEVELS)], scoring, vote)
    data = on_every_prm(rows[[*COLUMNS, "n_problems", "difficulty"]], prms)
    data = data.assign(shown=data["prm"] == (shown_prm or "none"))
    data = data.sort_values(["dataset", "method", "budget"], kind="stable")
    data = in_order(in_order(data, "difficulty", list(LEVELS)), "prm", prms)
    data = in_order(data, "policy", by_size(policies))
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)


@styled
def draw_accuracy_by_difficulty(data: pd.DataFrame) -> Figure:
    """Rows: dataset and policy. Columns: easy, medium, hard; empty levels say so."""
    shown = data[data["shown"].astype(bool)]
    if shown.empty:
        return nothing("no accuracy by difficulty level was computed")
    rows = list(shown[["dataset", "policy"]].drop_duplicates().itertuples(index=False, name=None))
    methods = methods_in_order(shown["method"])
    figure, axes = panels(len(rows), len(LEVELS), sharex=True, sharey=True)
    budgets = shown.loc[shown["method"] != "cot", "budget"]
    for row, (dataset, policy) in enumerate(rows):
        here = shown[(shown["dataset"] == dataset) & (shown["policy"] == policy)]
        for column, level in enumerate(LEVELS):
            ax, chosen = axes[row, column], here[here["difficulty"] == level]
            chosen = chosen[chosen["n_problems"] > 0]
            if chosen.empty:
                ax.text(0.5, 0.5, "no problems", transform=ax.transAxes, ha="center", color="#888")
            else:
                draw_methods(ax, chosen, methods)
                note_problems(ax, chosen, dataset if shown["dataset"].nunique() > 1 else "")
            budget_axis(ax, budgets, "Budget N" if row == len(rows) - 1 else None)
            percent_axis(ax, f"{policy}\nAccuracy (%)" if column == 0 else None)
            ax.set_ylim(-0.04, 1.04)
            if row == 0:
                name_panel(ax, level.capitalize())
    prm = shown["prm"].iloc[0]
    legend(figure, methods, title=None if prm == "none" else f"PRM: {prm}")
    return figure
