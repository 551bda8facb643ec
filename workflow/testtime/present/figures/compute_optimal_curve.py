"""Compute-optimal TTS against majority voting and best-of-N, by budget and by FLOPs."""

import matplotlib.figure
import pandas as pd

from testtime.compare.prm_worth import best_prm
from testtime.present.figures.looks import look, methods_in_order
from testtime.present.figures.parts import (
    budget_axis,
    cost_axis,
    line,
    name_panel,
    note_problems,
    percent_axis,
)
from testtime.present.figures.rows import as_in_study, one_line_per_method, unique
from testtime.present.figures.style import legend, nothing, panels
from testtime.present.registry import Figure
from testtime.study.vocabulary import ALL, ANY, CELL, INTERVAL, MAJORITY

FIGURE = Figure(
    title="Compute-optimal TTS by budget and FLOPs",
    see="How far choosing the strategy by difficulty lies above always voting or always taking "
    "best-of-N: above by budget, below by the compute it takes, PRM included. The gap between "
    "dashed and solid is how much choosing and judging on the same problems would have flattered "
    "the result.",
    computed="Solid: cross-fitted, the strategy is picked on other problems than those it is "
    "judged on. Dashed: picked and judged on the same problems, as published. FLOPs are 2 · "
    "parameters · tokens, of the policy (dropped paths included) plus what the PRM reads, the "
    "mean per problem.",
    inputs=("accuracy", "compute_optimal"),
    optional=("prm_quality",),
    settings=("policies", "prms", "figures"),
)

COLUMNS = [*CELL, "prm", "method", "budget", "flops", "accuracy", *INTERVAL, "n_problems"]


def data(
    *,
    accuracy: pd.DataFrame,
    compute_optimal: pd.DataFrame,
    prm_quality: pd.DataFrame | None,
    policies: dict[str, float],
    prms: list[str],
    figures: dict[str, str],
) -> pd.DataFrame:
    """Curves of the compute-optimal choice (PRM free to choose) and of the two plain baselines.

    Args:
        accuracy: rows of `accuracy.csv`.
        compute_optimal: rows of `compute_optimal.csv`.
        prm_quality: rows of `prm_quality.csv`, which determine best-of-N's PRM; None if there are
            none.
        policies: parameters of each.
        prms: of the study.
        figures: the scoring and the vote of best-of-N.

    Returns:
        dataset, policy, prm, method (compute_optimal, in_sample, majority, best_of_n), budget,
        flops (mean per problem, may be empty), accuracy, ci_low, ci_high, n_problems.
    """
    chosen = compute_optimal[compute_optimal["prm"] == ANY].assign(method="compute_optimal")
    sizes = accuracy.groupby("dataset")["n_problems"].max()
    chosen["n_problems"] = chosen["dataset"].map(sizes)
    in_sample = chosen.assign(method="in_sample", accuracy=chosen["in_sample_accuracy"])
    in_sample = in_sample.assign(ci_low=in_sample["accuracy"], ci_high=in_sample["accuracy"])
    plain = one_line_per_method(accuracy[accuracy["difficulty"] == ALL], **figures)
    shown = (plain["method"] == "best_of_n") & (plain["prm"] == best_prm(prm_quality, prms))
    plain = plain[(plain["method"] == MAJORITY) | shown]
    frames = [frame.reindex(columns=COLUMNS) for frame in (chosen, in_sample, plain)]
    rows = pd.concat(frames, ignore_index=True)
    return as_in_study(rows.sort_values(["method", "budget"], kind="stable"), policies=policies)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Per dataset two rows, by budget and by FLOPs; columns: policies."""
    if data.empty:
        return nothing("no compute-optimal choice was fitted")
    datasets, policies = unique(data, "dataset"), unique(data, "policy")
    methods = methods_in_order(data["method"])
    axes_of = ["budget", "flops"] if data["flops"].notna().any() else ["budget"]
    figure, axes = panels(
        len(axes_of) * len(datasets), len(policies), size=(1.9, 1.6), sharey="row"
    )
    for i, dataset in enumerate(datasets):
        for column, policy in enumerate(policies):
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            for j, x in enumerate(axes_of):
                ax = axes[i * len(axes_of) + j, column]
                for method in methods:
                    rows = here[(here["method"] == method) & here[x].notna()]
                    if len(rows):
                        bare = rows.drop(columns=["ci_low", "ci_high"])
                        line(ax, bare if method == "in_sample" else rows, look(method), x=x)
                if x == "budget":
                    budget_axis(ax, data["budget"])
                else:
                    cost_axis(ax, data["flops"])
                percent_axis(ax, f"{dataset}\nAccuracy (%)" if column == 0 else None)
                if j == 0:
                    name_panel(ax, policy)
                if len(here):
                    note_problems(ax, here)
    prms = set(data.loc[data["method"] == "best_of_n", "prm"])
    title = f"Best-of-N with PRM {', '.join(sorted(prms))}" if prms else None
    legend(figure, methods, title=title)
    return figure
