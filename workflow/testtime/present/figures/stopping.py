"""Accuracy against the tokens spent: majority voting, and the rules that stop it early."""

import matplotlib.figure
import pandas as pd

from testtime.present.figures.looks import look, methods_in_order
from testtime.present.figures.parts import (
    line,
    name_panel,
    note_problems,
    percent_axis,
    token_axis,
)
from testtime.present.figures.rows import as_in_study, unique
from testtime.present.figures.style import legend, nothing, panels
from testtime.present.registry import Figure
from testtime.study.methods import rules
from testtime.study.vocabulary import ALL, DRAWN, INTERVAL, MAJORITY

FIGURE = Figure(
    title="Stopping early: accuracy by tokens spent",
    see="A point to the left of majority voting's line at the same height costs fewer tokens for "
    "the same accuracy. What is saved grows with N: once the answer is clear, further samples "
    "change nothing.",
    computed="Each rule is followed over the orders in which the pool's samples may come, all of "
    "them or random ones, as if each had been a run; a point per largest N, at the mean of the "
    "tokens of the samples that it drew. A policy that thinks has its largest T. Bands: intervals "
    "over problems.",
    inputs=("accuracy",),
    settings=("policies",),
    needs=("stops",),
)
COLUMNS = ["dataset", "policy", "method", "budget", "policy_tokens", *DRAWN, "accuracy", *INTERVAL]


def data(*, accuracy: pd.DataFrame, policies: dict[str, float]) -> pd.DataFrame:
    """Majority voting and the rules that stop, at every N.

    Args:
        accuracy: rows of `accuracy.csv`.
        policies: parameters of each.

    Returns:
        dataset, policy, method, budget (most samples), policy_tokens (mean per problem), samples
        and samples_sd, accuracy, ci_low, ci_high, n_problems.
    """
    shown = accuracy["method"].isin([MAJORITY, *rules(stopping=True)])
    rows = accuracy[shown & (accuracy["difficulty"] == ALL) & accuracy["policy_tokens"].notna()]
    return as_in_study(rows[[*COLUMNS, "n_problems"]], policies=policies)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Rows: datasets. Columns: policies."""
    if data.empty:
        return nothing("the samples' tokens are not known")
    datasets, policies = unique(data, "dataset"), unique(data, "policy")
    methods = methods_in_order(data["method"])
    size = (2.1, 1.9)
    figure, axes = panels(len(datasets), len(policies), size=size, sharex=True, sharey="row")
    for row, dataset in enumerate(datasets):
        for column, policy in enumerate(policies):
            ax = axes[row, column]
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            for method in methods:
                own = here[here["method"] == method]
                if len(own):
                    line(ax, own, look(method), x="policy_tokens")
            token_axis(ax)
            percent_axis(ax, f"{dataset}\nAccuracy (%)" if column == 0 else None)
            if row == 0:
                name_panel(ax, policy)
            if len(here):
                note_problems(ax, here)
    figure.supxlabel("Tokens per problem")
    legend(figure, methods)
    return figure
