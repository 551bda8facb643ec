"""Distribution of Pass@1 per policy in five bins: why difficulty has absolute thresholds."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from testtime.present.figures.data import by_size, in_order
from testtime.present.figures.looks import LEVELS
from testtime.present.figures.style import (
    name_panel,
    nothing,
    panels,
    percent_axis,
    place_legend,
    styled,
)

N_BINS = 5


def pass_at_1_distribution_data(
    difficulty: pd.DataFrame, *, policies: dict[str, float], easy: float, hard: float
) -> pd.DataFrame:
    """Problems per fifth of Pass@1, and where each quantile bin of difficulty begins.

    Args:
        difficulty: rows of `difficulty/{dataset}/{policy}.parquet` with dataset and policy.
        policies: parameters of each.
        easy: Pass@1 from which a problem is easy.
        hard: Pass@1 below which it is hard.

    Returns:
        dataset, policy, kind ("bin": low to high holds `share` of the problems; "quantile": the
        equally large bin `name` spans low to high), name, low, high, n_problems, share, easy, hard.
    """
    found = []
    edges = np.linspace(0, 1, N_BINS + 1)
    for (dataset, policy), rows in difficulty.groupby(["dataset", "policy"], sort=True):
        key = {"dataset": dataset, "policy": policy}
        counts, _ = np.histogram(rows["pass_at_1"], edges)
        for low, high, n in zip(edges, edges[1:], counts, strict=False):
            name = f"{low:.0%}–{high:.0%}"
            found.append(
                {**key, "kind": "bin", "name": name, "low": low, "high": high, "n_problems": n}
            )
        for name, inside in rows.groupby("quantile", sort=True)["pass_at_1"]:
            span = {"low": inside.min(), "high": inside.max(), "n_problems": len(inside)}
            found.append({**key, "kind": "quantile", "name": name, **span})
    data = pd.DataFrame(
        found, columns=["dataset", "policy", "kind", "name", "low", "high", "n_problems"]
    )
    totals = data[data["kind"] == "bin"].groupby(["dataset", "policy"])["n_problems"].sum()
    keys = pd.MultiIndex.from_frame(data[["dataset", "policy"]])
    data["share"] = data["n_problems"] / totals.reindex(keys).to_numpy()
    data = in_order(data.assign(easy=easy, hard=hard), "policy", by_size(policies))
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)


@styled
def draw_pass_at_1_distribution(data: pd.DataFrame) -> Figure:
    """One panel per policy; a row per dataset. The strip below marks the equally large bins."""
    if data.empty:
        return nothing("no Pass@1 was estimated")
    rows = list(dict.fromkeys(data["dataset"]))
    columns = list(dict.fromkeys(data["policy"]))
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
    handles = [Patch(color=color, alpha=0.5) for color in LEVELS.values()]
    handles.append(Line2D([], [], color="#333", marker="|"))
    names = [level.capitalize() for level in LEVELS]
    place_legend(figure, handles, [*names, f"{fifths} equally large bins"])
    return figure


def _panel(ax: Axes, here: pd.DataFrame, top: float) -> None:
    bins = here[here["kind"] == "bin"]
    if bins.empty:
        return
    easy, hard = bins["easy"].iloc[0], bins["hard"].iloc[0]
    for low, high, level in ((0, hard, "hard"), (hard, easy, "medium"), (easy, 1, "easy")):
        ax.axvspan(low, high, color=LEVELS[level], alpha=0.35, linewidth=0)
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
