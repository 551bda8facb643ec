"""Accuracy against budget by difficulty: a row per policy, a column per level."""

import matplotlib.figure
import pandas as pd

from testtime.compare.prm_worth import best_prm
from testtime.present.figures.looks import methods_in_order
from testtime.present.figures.parts import (
    budget_axis,
    method_lines,
    name_panel,
    note_problems,
    percent_axis,
)
from testtime.present.figures.rows import (
    LINES,
    as_in_study,
    in_order,
    on_every_prm,
    one_line_per_method,
)
from testtime.present.figures.style import legend, nothing, panels
from testtime.present.registry import Figure
from testtime.study.vocabulary import COT, LEVELS, NONE

FIGURE = Figure(
    title="Accuracy by difficulty",
    see="Which level gains from which method: how far search or a PRM's choice rises above voting "
    "on easy, medium and hard problems. This is what the lookup uses.",
    computed="As *Accuracy by budget*, for the problems of each level alone. The level is the "
    "policy's own Pass@1, so each policy has its own easy problems; their number is in the "
    "corner. The PRM is the one that judges steps best, which is measured apart from these "
    "accuracies; the data file has the others too.",
    inputs=("accuracy",),
    optional=("prm_quality",),
    settings=("policies", "prms", "figures"),
)


def data(
    *,
    accuracy: pd.DataFrame,
    prm_quality: pd.DataFrame | None,
    policies: dict[str, float],
    prms: list[str],
    figures: dict[str, str],
) -> pd.DataFrame:
    """Lines by level, for every PRM; `shown` marks the PRM that is drawn.

    Args:
        accuracy: rows of `accuracy.csv`.
        prm_quality: rows of `prm_quality.csv`, which determine the PRM to draw; None if there are
            none.
        policies: parameters of each.
        prms: of the study.
        figures: the scoring and vote to draw if a method has several.

    Returns:
        Columns of LINES, and difficulty, shown.
    """
    lines = one_line_per_method(accuracy[accuracy["difficulty"].isin(LEVELS)], **figures)
    rows = on_every_prm(lines[[*LINES, "difficulty"]], prms)
    rows = rows.assign(shown=rows["prm"] == (best_prm(prm_quality, prms) or NONE))
    rows = rows.sort_values(["dataset", "method", "budget"], kind="stable")
    return as_in_study(in_order(rows, "difficulty", LEVELS), policies=policies, prms=prms)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Rows: dataset and policy. Columns: easy, medium, hard; empty levels say so."""
    shown = data[data["shown"].astype(bool)]
    if shown.empty:
        return nothing("no accuracy by difficulty level was computed")
    rows = list(shown[["dataset", "policy"]].drop_duplicates().itertuples(index=False, name=None))
    methods = methods_in_order(shown["method"])
    figure, axes = panels(len(rows), len(LEVELS), sharex=True, sharey=True)
    budgets = shown.loc[shown["method"] != COT, "budget"]
    for row, (dataset, policy) in enumerate(rows):
        here = shown[(shown["dataset"] == dataset) & (shown["policy"] == policy)]
        for column, level in enumerate(LEVELS):
            ax, chosen = axes[row, column], here[here["difficulty"] == level]
            chosen = chosen[chosen["n_problems"] > 0]
            if chosen.empty:
                ax.text(0.5, 0.5, "no problems", transform=ax.transAxes, ha="center", color="#888")
            else:
                method_lines(ax, chosen, methods)
                note_problems(ax, chosen, dataset if shown["dataset"].nunique() > 1 else "")
            budget_axis(ax, budgets, "Budget N" if row == len(rows) - 1 else None)
            percent_axis(ax, f"{policy}\nAccuracy (%)" if column == 0 else None)
            ax.set_ylim(-0.04, 1.04)
            if row == 0:
                name_panel(ax, level.capitalize())
    prm = shown["prm"].iloc[0]
    legend(figure, methods, title=None if prm == NONE else f"PRM: {prm}")
    return figure
