"""Compute-optimal TTS against majority voting and best-of-N, by budget and by FLOPs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from testtime.present.figures.accuracy_by_budget import note_problems
from testtime.present.figures.data import (
    INTERVAL,
    by_size,
    fitted,
    in_order,
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

COLUMNS = ["dataset", "policy", "prm", "method", "budget", "flops", *INTERVAL, "n_problems"]


def compute_optimal_curve_data(
    accuracy: pd.DataFrame,
    compute_optimal: pd.DataFrame,
    *,
    policies: dict[str, float],
    shown_prm: str | None,
    scoring: str,
    vote: str,
) -> pd.DataFrame:
    """Curves of the compute-optimal choice (PRM free to choose) and of the two plain baselines.

    Args:
        accuracy: rows of `accuracy.csv`.
        compute_optimal: rows of `compute_optimal.csv`.
        policies: parameters of each.
        shown_prm: the PRM of the best-of-N line, or None without PRMs.
        scoring: the scoring of best-of-N.
        vote: its vote.

    Returns:
        dataset, policy, prm, method (compute_optimal, in_sample, majority, best_of_n), budget,
        flops (mean per problem, may be empty), accuracy, ci_low, ci_high, n_problems.
    """
    chosen = fitted(compute_optimal)
    chosen = chosen[chosen["prm"] == "any"].assign(method="compute_optimal")
    sizes = accuracy.groupby("dataset")["n_problems"].max()
    chosen["n_problems"] = chosen["dataset"].map(sizes)
    in_sample = chosen.assign(method="in_sample", accuracy=chosen["in_sample_accuracy"])
    in_sample = in_sample.assign(ci_low=in_sample["accuracy"], ci_high=in_sample["accuracy"])
    plain = one_line_per_method(accuracy[accuracy["difficulty"] == "all"], scoring, vote)
    plain = plain[
        (plain["method"] == "majority")
        | ((plain["method"] == "best_of_n") & (plain["prm"] == shown_prm))
    ]
    frames = [frame.reindex(columns=COLUMNS) for frame in (chosen, in_sample, plain)]
    data = pd.concat(frames, ignore_index=True)
    data = data.sort_values(["method", "budget"], kind="stable")
    data = in_order(data, "policy", by_size(policies))
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)


@styled
def draw_compute_optimal_curve(data: pd.DataFrame) -> Figure:
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
                    flops_axis(ax, data["flops"])
                percent_axis(ax, f"{dataset}\nAccuracy (%)" if column == 0 else None)
                if j == 0:
                    name_panel(ax, policy)
                if len(here):
                    note_problems(ax, here)
    prms = set(data.loc[data["method"] == "best_of_n", "prm"])
    title = f"Best-of-N with PRM {', '.join(sorted(prms))}" if prms else None
    legend(figure, methods, title=title)
    return figure


def flops_axis(ax: Axes, flops: pd.Series) -> None:
    """The same log axis for every policy, so that policies compare at equal FLOPs."""
    low, high = flops[flops > 0].min(), flops.max()
    ax.set_xscale("log")
    ax.set_xlim(low / 1.5, high * 1.5)
    decades = np.log10(high / low)
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades >= 1.5 else (1.0, 3.0)))
    ax.xaxis.set_major_formatter(_power)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("FLOPs per problem")


def _power(value: float, _: int) -> str:
    exponent = int(np.floor(np.log10(value) + 1e-9))
    factor = round(value / 10**exponent)
    return f"$10^{{{exponent}}}$" if factor == 1 else f"${factor}{{\\cdot}}10^{{{exponent}}}$"
