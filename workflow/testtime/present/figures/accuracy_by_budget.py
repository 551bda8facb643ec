"""Accuracy against budget: a panel per policy and PRM, a line per method."""

import matplotlib.figure
import pandas as pd

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
    on_every_prm,
    one_line_per_method,
    unique,
)
from testtime.present.figures.style import legend, nothing, panels
from testtime.present.registry import Figure
from testtime.study.vocabulary import ALL, COT, NONE

FIGURE = Figure(
    title="Accuracy by budget",
    see="Which method answers most at which budget, and that this depends on the policy and on the"
    " PRM. Pass@N is the share of problems with at least one right answer among N samples: a "
    "perfect judge would reach it.",
    computed="Each line is the expected accuracy over the study's problems; where a method has "
    "several ways of scoring and voting, the one named in the config (``figures:``) is drawn. "
    "Best-of-N and Pass@N are exact expectations over all subsets of the pool; votes are exact or"
    " averaged over random subsets. Bands are intervals over problems. Majority voting, CoT and "
    "Pass@N need no PRM and are the same in every column.",
    inputs=("accuracy", "pass_at_k"),
    settings=("policies", "prms", "figures"),
)


def data(
    *,
    accuracy: pd.DataFrame,
    pass_at_k: pd.DataFrame,
    policies: dict[str, float],
    prms: list[str],
    figures: dict[str, str],
) -> pd.DataFrame:
    """Lines of every panel; Majority, CoT and Pass@N are repeated for each PRM.

    Args:
        accuracy: rows of `accuracy.csv`.
        pass_at_k: rows of `pass_at_k.csv`.
        policies: parameters of each.
        prms: of the study, in its order.
        figures: the scoring and vote to draw if a method has several.

    Returns:
        dataset, policy, prm, method, scoring, vote, budget, accuracy, ci_low, ci_high, n_problems.
    """
    lines = one_line_per_method(accuracy[accuracy["difficulty"] == ALL], **figures)
    # Policies that are only compared with have no line over budgets.
    spends = (lines["method"] != COT).groupby(lines["policy"]).transform("any")
    lines = lines[spends]
    sizes = lines.groupby("dataset")["n_problems"].max()
    ceiling = pass_at_k.rename(columns={"k": "budget", "pass_at_k": "accuracy"}).assign(
        prm=NONE, method="pass_at_n", scoring=NONE, vote=NONE, thinking=0
    )
    ceiling["n_problems"] = ceiling["dataset"].map(sizes)
    budgets = set(lines.loc[lines["method"] != COT, "budget"])
    ceiling = ceiling[ceiling["budget"].isin(budgets)]
    rows = on_every_prm(pd.concat([lines[LINES], ceiling[LINES]], ignore_index=True), prms)
    rows = rows.sort_values(["dataset", "method", "budget"], kind="stable")
    return as_in_study(rows, policies=policies, prms=prms)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Rows: dataset and policy. Columns: PRMs."""
    if data.empty:
        return nothing("no accuracy was computed")
    rows = list(data[["dataset", "policy"]].drop_duplicates().itertuples(index=False, name=None))
    prms = unique(data, "prm")
    methods = methods_in_order(data["method"])
    figure, axes = panels(len(rows), len(prms), sharex=True, sharey="row")
    budgets = data.loc[data["method"] != COT, "budget"]
    for row, (dataset, policy) in enumerate(rows):
        here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
        for column, prm in enumerate(prms):
            ax = axes[row, column]
            method_lines(ax, here[here["prm"] == prm], methods)
            budget_axis(ax, budgets, "Budget N" if row == len(rows) - 1 else None)
            percent_axis(ax, f"{policy}\nAccuracy (%)" if column == 0 else None)
            if row == 0 and prm != NONE:
                name_panel(ax, f"PRM: {prm}")
            note_problems(ax, here, dataset if data["dataset"].nunique() > 1 else "")
    legend(figure, methods)
    return figure
