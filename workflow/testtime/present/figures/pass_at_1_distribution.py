"""Distribution of Pass@1 per policy in five bins: why difficulty has absolute thresholds."""

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from testtime.present.figures.looks import LEVEL_COLORS
from testtime.present.figures.parts import name_panel, percent_axis
from testtime.present.figures.rows import as_in_study, unique
from testtime.present.figures.style import nothing, panels, place_legend
from testtime.present.registry import Figure
from testtime.study.vocabulary import CELL, EASY, HARD, MEDIUM

FIGURE = Figure(
    title="Distribution of Pass@1",
    see="How many problems each policy answers in which share of its samples. For a strong policy "
    "most problems crowd into one end, so equally large bins (the brackets below the bars) split "
    "problems that hardly differ; the fixed thresholds (the shaded ranges) mean the same for "
    "every policy.",
    computed="Pass@1 of a problem is the share of right samples among the held-out samples that "
    "serve only to estimate difficulty (or among the pool, where the study draws none). Numbers "
    "on the bars count problems.",
    inputs=("difficulty",),
    settings=("policies", "thresholds"),
)

N_BINS = 5


def data(
    *, difficulty: pd.DataFrame, policies: dict[str, float], thresholds: dict[str, float]
) -> pd.DataFrame:
    """Problems per fifth of Pass@1, and the range of each quantile bin of difficulty.

    Args:
        difficulty: rows of `difficulty/{dataset}/{policy}.parquet` with dataset and policy.
        policies: parameters of each.
        thresholds: "easy", the Pass@1 from which a problem is easy, "hard", below which it is hard.

    Returns:
        dataset, policy, kind ("bin": low to high holds `share` of the problems; "quantile": the
        equally large bin `name` spans low to high), name, low, high, n_problems, share, easy, hard.
    """
    found = []
    edges = np.linspace(0, 1, N_BINS + 1)
    for (dataset, policy), cell in difficulty.groupby(CELL, sort=True):
        key = {"dataset": dataset, "policy": policy}
        counts, _ = np.histogram(cell["pass_at_1"], edges)
        for low, high, n in zip(edges, edges[1:], counts, strict=False):
            name = f"{low:.0%}–{high:.0%}"
            found.append(
                {**key, "kind": "bin", "name": name, "low": low, "high": high, "n_problems": n}
            )
        for name, inside in cell.groupby("quantile", sort=True)["pass_at_1"]:
            span = {"low": inside.min(), "high": inside.max(), "n_problems": len(inside)}
            found.append({**key, "kind": "quantile", "name": name, **span})
    rows = pd.DataFrame(found, columns=[*CELL, "kind", "name", "low", "high", "n_problems"])
    totals = rows[rows["kind"] == "bin"].groupby(CELL)["n_problems"].sum()
    keys = pd.MultiIndex.from_frame(rows[CELL])
    rows["share"] = rows["n_problems"] / totals.reindex(keys).to_numpy()
    return as_in_study(rows.assign(**thresholds), policies=policies)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """One panel per policy; a row per dataset. The strip below marks the equally large bins."""
    if data.empty:
        return nothing("no Pass@1 was estimated")
    rows = unique(data, "dataset")
    columns = unique(data, "policy")
    top = data.loc[data["kind"] == "bin", "share"].max()
    figure, axes = panels(len(rows), len(columns), size=(1.75, 1.8), sharex=True, sharey=True)
    for row, dataset in enumerate(rows):
        for column, policy in enumerate(columns):
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            _panel(axes[row, column], here, top)
            if row == 0:
                name_panel(axes[row, column], policy)
            axes[row, column].set_ylim(-0.12 * top, 1.12 * top)
            percent_axis(axes[row, column], f"{dataset}\nProblems (%)" if column == 0 else None)
    figure.supxlabel("Pass@1 (%)")
    fifths = data.loc[data["kind"] == "quantile", "name"].nunique()
    handles = [Patch(color=color, alpha=0.5) for color in LEVEL_COLORS.values()]
    handles.append(Line2D([], [], color="#333", marker="|"))
    names = [level.capitalize() for level in LEVEL_COLORS]
    place_legend(figure, handles, [*names, f"{fifths} equally large bins"])
    return figure


def _panel(ax: Axes, here: pd.DataFrame, top: float) -> None:
    bins = here[here["kind"] == "bin"]
    if bins.empty:
        return
    easy, hard = bins["easy"].iloc[0], bins["hard"].iloc[0]
    for low, high, level in ((0, hard, HARD), (hard, easy, MEDIUM), (easy, 1, EASY)):
        ax.axvspan(low, high, color=LEVEL_COLORS[level], alpha=0.35, linewidth=0)
    widths = bins["high"] - bins["low"]
    ax.bar(bins["low"], bins["share"], widths * 0.92, align="edge", color="#4C72B0", zorder=2)
    for low, width, share, n in zip(
        bins["low"], widths, bins["share"], bins["n_problems"], strict=True
    ):
        ax.text(low + width * 0.46, share + 0.015 * top, str(n), ha="center", fontsize=6)
    for index, (low, high) in enumerate(
        here.loc[here["kind"] == "quantile", ["low", "high"]].itertuples(index=False, name=None)
    ):
        height = top * (-0.045 - 0.035 * (index % 2))
        ax.plot([low, high], [height, height], "|-", color="#333", linewidth=1, markersize=4)
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    ax.grid(visible=False, axis="x")
