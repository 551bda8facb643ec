"""Accuracy against FLOPs per problem: at equal compute, a small policy with TTS or a large one?"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from testtime.present.figures.accuracy_by_budget import note_problems
from testtime.present.figures.compute_optimal_curve import flops_axis
from testtime.present.figures.data import INTERVAL, by_size, group_color, in_order, unique
from testtime.present.figures.looks import Look, count
from testtime.present.figures.style import (
    error_bars,
    line,
    nothing,
    panels,
    percent_axis,
    place_legend,
    styled,
)

COT, TTS = "CoT", "compute-optimal TTS"
COLUMNS = ["dataset", "policy", "setting", "flops", *INTERVAL, "n_problems"]


def accuracy_by_flops_data(
    by_cost: pd.DataFrame, accuracy: pd.DataFrame, *, policies: dict[str, float]
) -> pd.DataFrame:
    """What FLOPs buy with each policy: greedy CoT, and the compute-optimal choice within them.

    Args:
        by_cost: rows of `by_cost.csv`.
        accuracy: rows of `accuracy.csv`, for CoT.
        policies: parameters of each.

    Returns:
        dataset, policy, setting ("CoT" or "compute-optimal TTS"), flops (mean per problem of what
        was spent), accuracy, ci_low, ci_high, n_problems, parameters.
    """
    chain = accuracy[(accuracy["method"] == "cot") & (accuracy["difficulty"] == "all")]
    chosen = by_cost[by_cost["axis"] == "flops"].sort_values("budget")
    frames = [chain.assign(setting=COT), chosen.assign(setting=TTS)]
    data = pd.concat([frame.reindex(columns=COLUMNS) for frame in frames], ignore_index=True)
    data = data[data["flops"].notna()]
    data["parameters"] = data["policy"].map(policies)
    data = in_order(data, "policy", by_size(policies))
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)


@styled
def draw_accuracy_by_flops(data: pd.DataFrame) -> Figure:
    """One panel per dataset; per policy a line for TTS and a ring for its CoT."""
    if data.empty:
        return nothing("the samples' tokens are not known")
    datasets, policies = unique(data, "dataset"), unique(data, "policy")
    sizes = data.drop_duplicates("policy").set_index("policy")["parameters"]
    figure, axes = panels(len(datasets), 1, size=(4.2, 2.5), sharex=True)
    for ax, dataset in zip(axes[:, 0], datasets, strict=True):
        here = data[data["dataset"] == dataset]
        for policy in policies:
            color, marker = group_color(policies, policy)
            mine = here[here["policy"] == policy]
            curve, chain = mine[mine["setting"] == TTS], mine[mine["setting"] == COT]
            if len(curve):
                line(ax, curve, Look(policy, color, marker), x="flops")
            error_bars(ax, chain["flops"], chain, color=color)
            ax.plot(chain["flops"], chain["accuracy"], "o", mfc="white", mec=color, zorder=4)
        flops_axis(ax, data["flops"])
        percent_axis(ax, f"{dataset}\nAccuracy (%)")
        note_problems(ax, here)
    handles, names = [], []
    for policy in policies:
        color, marker = group_color(policies, policy)
        handles.append(Line2D([], [], color=color, marker=marker))
        names.append(f"{policy}, {count(sizes[policy])}")
    handles.append(Line2D([], [], linestyle="", marker="o", mfc="white", mec="#444444"))
    place_legend(figure, handles, [*names, "greedy CoT"])
    return figure
