"""Accuracy against generated tokens: many short thoughts or a few long ones."""

import matplotlib.figure
import pandas as pd
from matplotlib import colormaps
from matplotlib.lines import Line2D

from testtime.present.figures.looks import Look
from testtime.present.figures.parts import (
    line,
    name_panel,
    note_problems,
    percent_axis,
    token_axis,
)
from testtime.present.figures.rows import as_in_study, unique
from testtime.present.figures.style import nothing, panels, place_legend
from testtime.present.registry import Figure
from testtime.study.vocabulary import ALL, COT, INTERVAL, MAJORITY

FIGURE = Figure(
    title="Many short thoughts or a few long ones",
    see="At a given number of tokens, which line is on top: thoughts of few tokens, sampled often, "
    "or of many tokens, sampled seldom. The dashed line chooses the best of all.",
    computed="A line per thinking budget T; along it the number of samples N grows, from one "
    "sample (CoT, where the study has it) to majority voting over all. Tokens are all that is "
    "generated, the mean per problem, thoughts cut at T. Dashed: the choice for each amount "
    "of tokens, judged on other problems than those it was chosen on. Bands: intervals over "
    "problems.",
    inputs=("thinking", "by_cost"),
    settings=("policies",),
    needs=("thinks",),
)
BEST = 0  # in the place of T: the choice
COLUMNS = ["dataset", "policy", "thinking", "budget", "policy_tokens", "accuracy", *INTERVAL]
COLUMNS += ["n_problems"]


def data(
    *, thinking: pd.DataFrame, by_cost: pd.DataFrame, policies: dict[str, float]
) -> pd.DataFrame:
    """Accuracy by generated tokens, of every T and of the choice among all.

    Args:
        thinking: rows of `thinking.csv`.
        by_cost: rows of `by_cost.csv`.
        policies: parameters of each.

    Returns:
        dataset, policy, thinking (T; 0 for the choice), budget, policy_tokens, accuracy, ci_low,
        ci_high, n_problems.
    """
    rows = thinking[(thinking["difficulty"] == ALL) & thinking["method"].isin([COT, MAJORITY])]
    best = by_cost[(by_cost["axis"] == "policy_tokens") & by_cost["policy"].isin(rows["policy"])]
    both = pd.concat([rows[COLUMNS], best.assign(thinking=BEST)[COLUMNS]], ignore_index=True)
    return as_in_study(both[both["policy_tokens"].notna()], policies=policies)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Rows: datasets. Columns: policies."""
    if data.empty:
        return nothing("no policy of the study thinks, or its tokens are not known")
    datasets, policies = unique(data, "dataset"), unique(data, "policy")
    thinking = sorted(set(data["thinking"]) - {BEST})
    shades = colormaps["viridis"]
    looks = {
        t: Look(f"T = {t}", shades(0.92 * i / max(len(thinking) - 1, 1)), "o")
        for i, t in enumerate(thinking)
    }
    looks[BEST] = Look("best choice", "#222222", "", "--")
    figure, axes = panels(len(datasets), len(policies), size=(2.1, 1.9), sharex=True, sharey=True)
    for row, dataset in enumerate(datasets):
        for column, policy in enumerate(policies):
            ax = axes[row, column]
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            for t, look in looks.items():
                own = here[here["thinking"] == t]
                if len(own):
                    line(ax, own, look, x="policy_tokens")
            token_axis(ax)
            percent_axis(ax, f"{dataset}\nAccuracy (%)" if column == 0 else None)
            if row == 0:
                name_panel(ax, policy)
            if len(here):
                note_problems(ax, here)
    figure.supxlabel("Generated tokens per problem")
    handles = [
        Line2D([], [], color=look.color, marker=look.marker or None, linestyle=look.line)
        for look in looks.values()
    ]
    place_legend(figure, handles, [look.label for look in looks.values()])
    return figure
