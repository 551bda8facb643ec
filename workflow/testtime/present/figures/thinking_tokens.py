"""Tokens that a thought takes, and what they buy, by difficulty."""

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.lines import Line2D

from testtime.present.figures.looks import Look
from testtime.present.figures.parts import (
    budget_axis,
    line,
    name_panel,
    note_problems,
    percent_axis,
)
from testtime.present.figures.rows import as_in_study, unique
from testtime.present.figures.style import nothing, panels, place_legend
from testtime.present.registry import Figure
from testtime.study.vocabulary import ALL, CELL, COT, INTERVAL, LEVELS, MAJORITY

FIGURE = Figure(
    title="Thinking by difficulty",
    see="Above: how many tokens one sample takes; where a line levels off, thoughts end by "
    "themselves. Below: what they buy; where a line falls, longer thinking hurts.",
    computed="Means over one sample per problem (CoT where the study has it, else the smallest "
    "majority vote, per sample), at every thinking budget T, for problems from the easiest (q1) to "
    "the hardest for the policy itself with its largest T. Bands: intervals over problems.",
    inputs=("thinking",),
    settings=("policies",),
    needs=("thinks",),
)
COLUMNS = [*CELL, "difficulty", "thinking", "tokens", "accuracy", *INTERVAL, "n_problems"]


def data(*, thinking: pd.DataFrame, policies: dict[str, float]) -> pd.DataFrame:
    """Tokens and accuracy of one sample by quantile of difficulty and T.

    Args:
        thinking: rows of `thinking.csv`.
        policies: parameters of each.

    Returns:
        dataset, policy, difficulty (q1, the easiest, to the hardest), thinking, tokens (mean per
        sample), accuracy, ci_low, ci_high, n_problems.
    """
    rows = thinking[~thinking["difficulty"].isin([ALL, *LEVELS])]
    single = rows[rows["method"] == COT]
    if single.empty:
        single = rows[(rows["method"] == MAJORITY) & (rows["budget"] == rows["budget"].min())]
    single = single.assign(tokens=single["policy_tokens"] / single["budget"])
    return as_in_study(single[COLUMNS], policies=policies)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Per dataset two rows, tokens and accuracy; columns: policies."""
    if data.empty:
        return nothing("no policy that thinks has a difficulty of its problems")
    datasets, policies = unique(data, "dataset"), unique(data, "policy")
    quantiles = sorted(data["difficulty"].unique(), key=lambda name: (len(name), name))
    shades = colormaps["viridis_r"](np.linspace(0.08, 0.95, len(quantiles)))
    looks = {name: Look(name, color, "o") for name, color in zip(quantiles, shades, strict=True)}
    size = (2.1, 1.5)
    figure, axes = panels(2 * len(datasets), len(policies), size=size, sharex=True, sharey="row")
    for i, dataset in enumerate(datasets):
        for column, policy in enumerate(policies):
            above, below = axes[2 * i : 2 * i + 2, column]
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            for name, look in looks.items():
                rows = here[here["difficulty"] == name]
                if len(rows):
                    bare = rows.drop(columns=["ci_low", "ci_high"])
                    line(above, bare, look, x="thinking", y="tokens")
                    line(below, rows, look, x="thinking")
            for ax in (above, below):
                budget_axis(ax, data["thinking"], None)
            percent_axis(below, "Accuracy (%)" if column == 0 else None)
            if column == 0:
                above.set_ylabel(f"{dataset}\nTokens per sample")
            name_panel(above, policy)
            if len(here):
                note_problems(below, here)
    figure.supxlabel("Thinking tokens T")
    handles = [Line2D([], [], color=look.color, marker="o") for look in looks.values()]
    place_legend(figure, handles, [look.label for look in looks.values()])
    return figure
