"""Accuracy against FLOPs and latency: at equal cost, a small policy with TTS or a large one?"""

from itertools import product

import matplotlib.figure
import pandas as pd
from matplotlib.lines import Line2D

from testtime.present.figures.looks import Look, count, group_look
from testtime.present.figures.parts import (
    cost_axis,
    error_bars,
    line,
    note_problems,
    percent_axis,
)
from testtime.present.figures.rows import as_in_study, unique
from testtime.present.figures.style import group_handles, nothing, panels, place_legend
from testtime.present.registry import Figure
from testtime.study.vocabulary import ALL, CHAIN, COT, INTERVAL, LATENCY, TTS

FIGURE = Figure(
    title="Accuracy by FLOPs and by latency: small policies with TTS beside larger ones",
    see="What the same compute, and the same wait for an answer, buys: a small policy that spends "
    "it on many samples and a PRM, or a larger one that spends it on a few. Where a small policy's "
    "line lies above a larger one's ring (its CoT) and not to the right of it, test-time scaling "
    "is the cheaper way to that accuracy. Samples that are drawn at once cost FLOPs each, and "
    "hardly more time than the longest of them.",
    computed="Lines: at each budget of FLOPs or latency the strategy is chosen, per difficulty "
    "where that pays, among all whose mean cost fits, whatever their N, PRM and method, and judged "
    "on other problems than those it was chosen on; drawn at what was spent. FLOPs are 2 · "
    "parameters · tokens, of the policy (dropped paths included) plus what the PRM reads, "
    "the mean per problem. Latency is until the answer, the study's kind of GPU working on this "
    "problem alone: on paper, by its memory's bandwidth and its arithmetic, also for models that "
    "ran on a CPU. Bands and bars: intervals over problems.",
    inputs=("by_cost", "accuracy"),
    settings=("policies",),
)

AXES = {"flops": "FLOPs per problem", LATENCY: "Latency (s), one problem alone"}
COLUMNS = ["dataset", "policy", "setting", "axis", "cost", "accuracy", *INTERVAL, "n_problems"]


def data(
    *, by_cost: pd.DataFrame, accuracy: pd.DataFrame, policies: dict[str, float]
) -> pd.DataFrame:
    """Accuracy by cost: CoT of each policy, and the compute-optimal choice.

    Args:
        by_cost: rows of `by_cost.csv`.
        accuracy: rows of `accuracy.csv`, for CoT.
        policies: parameters of each.

    Returns:
        dataset, policy, setting ("CoT" or "compute-optimal TTS"), axis ("flops" or "latency_s"),
        cost (on that axis: mean per problem of what was spent), accuracy, ci_low, ci_high,
        n_problems, parameters.
    """
    chain = accuracy[(accuracy["method"] == COT) & (accuracy["difficulty"] == ALL)]
    frames = []
    for axis in AXES:
        chosen = by_cost[by_cost["axis"] == axis].sort_values("budget")
        for rows, setting in ((chain, CHAIN), (chosen, TTS)):
            frames.append(rows.assign(setting=setting, axis=axis, cost=rows[axis]))
    rows = pd.concat([frame.reindex(columns=COLUMNS) for frame in frames], ignore_index=True)
    rows = rows[rows["cost"].notna()]
    return as_in_study(rows.assign(parameters=rows["policy"].map(policies)), policies=policies)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """A row per dataset, a column per axis; per policy a line for TTS and a ring for its CoT."""
    if data.empty:
        return nothing("the samples' tokens are not known")
    datasets, policies, shown = (unique(data, name) for name in ("dataset", "policy", "axis"))
    sizes = data.drop_duplicates("policy").set_index("policy")["parameters"]
    size = (4.2, 2.5)
    figure, axes = panels(len(datasets), len(shown), size=size, sharex="col", sharey="row")
    for (dataset, axis), ax in zip(product(datasets, shown), axes.flat, strict=True):
        here = data[(data["dataset"] == dataset) & (data["axis"] == axis)]
        for policy in policies:
            color, marker = group_look(policies, policy)
            mine = here[here["policy"] == policy]
            curve, chain = mine[mine["setting"] == TTS], mine[mine["setting"] == CHAIN]
            if len(curve):
                line(ax, curve, Look(policy, color, marker), x="cost")
            error_bars(ax, chain["cost"], chain, color=color)
            ax.plot(chain["cost"], chain["accuracy"], "o", mfc="white", mec=color, zorder=4)
        cost_axis(ax, data.loc[data["axis"] == axis, "cost"], AXES[axis])
        percent_axis(ax, f"{dataset}\nAccuracy (%)" if axis == shown[0] else None)
        if len(here):
            note_problems(ax, here)
    ring = Line2D([], [], linestyle="", marker="o", mfc="white", mec="#444444")
    names = [f"{policy}, {count(sizes[policy])}" for policy in policies]
    place_legend(figure, [*group_handles(policies), ring], [*names, "CoT"])
    return figure
