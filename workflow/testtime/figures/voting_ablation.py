"""Best-of-N under every scoring and vote: PRM-{Min, Last, Avg} × {Max, Weighted}."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from testtime.figures.data import INTERVAL, by_size, in_order, unique
from testtime.figures.style import (
    group_look,
    look,
    nothing,
    panels,
    place_legend,
    styled,
)

CHOICES = [(s, v) for v in ("max", "weighted") for s in ("min", "last", "avg")]


def voting_ablation_data(
    accuracy: pd.DataFrame, *, policies: dict[str, float], prms: list[str], budget: int
) -> pd.DataFrame:
    """Best-of-N at one budget under every scoring and vote, and majority voting beside it.

    Args:
        accuracy: rows of `accuracy.csv`.
        policies: parameters of each.
        prms: of the study.
        budget: N.

    Returns:
        dataset, policy, prm ("none" for majority), scoring, vote, budget, accuracy, ci_low,
        ci_high, n_problems.
    """
    wanted = (accuracy["difficulty"] == "all") & (accuracy["budget"] == budget)
    wanted &= accuracy["method"].isin(["best_of_n", "majority"])
    columns = ["dataset", "policy", "prm", "scoring", "vote", "budget", *INTERVAL, "n_problems"]
    data = accuracy.loc[wanted, columns].sort_values(["vote", "scoring"], kind="stable")
    data = in_order(in_order(data, "prm", prms), "policy", by_size(policies))
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)


@styled
def draw_voting_ablation(data: pd.DataFrame) -> Figure:
    """Rows: datasets. Columns: policies. A dot per PRM, scoring and vote; a line at majority."""
    scored = data[data["prm"] != "none"]
    if scored.empty:
        return nothing("best-of-N did not run at the budget that this figure compares")
    datasets, policies = unique(scored, "dataset"), unique(scored, "policy")
    prms = unique(scored, "prm")
    present = set(scored[["scoring", "vote"]].itertuples(index=False, name=None))
    choices = [choice for choice in CHOICES if choice in present]
    size = (1.7, 0.25 * len(choices) + 0.5)
    figure, axes = panels(len(datasets), len(policies), size=size, sharex=True, sharey=True)
    for row, dataset in enumerate(datasets):
        for column, policy in enumerate(policies):
            ax = axes[row, column]
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            for i, prm in enumerate(prms):
                _dots(ax, here[here["prm"] == prm], choices, i, len(prms))
            for level in here.loc[here["prm"] == "none", "accuracy"]:
                ax.axvline(level, color=look("majority").color, linestyle="--", linewidth=0.9)
            ax.set_yticks(range(len(choices)), [f"{s.capitalize()} + {v}" for s, v in choices])
            ax.set_ylim(len(choices) - 0.5, -0.5)
            ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
            ax.grid(visible=False, axis="y")
            if len(here):
                ax.set_title(f"{policy} ({int(here['n_problems'].max())} problems)")
            if column == 0 and len(datasets) > 1:
                ax.set_ylabel(dataset)
    figure.supxlabel(f"Accuracy of best-of-N (%), N = {data['budget'].iloc[0]}")
    looks = [group_look(i) for i in range(len(prms))]
    handles = [Line2D([], [], color=c, marker=m, linestyle="") for c, m in looks]
    handles.append(Line2D([], [], color=look("majority").color, linestyle="--", linewidth=0.9))
    place_legend(figure, handles, [*prms, "Majority"])
    return figure


def _dots(ax: Axes, here: pd.DataFrame, choices: list, index: int, n_prms: int) -> None:
    color, marker = group_look(index)
    offset = (index - (n_prms - 1) / 2) * min(0.3, 0.7 / n_prms)
    for row in here.itertuples():
        if (row.scoring, row.vote) in choices:
            y = choices.index((row.scoring, row.vote)) + offset
            ax.plot([row.ci_low, row.ci_high], [y, y], color=color, linewidth=0.9)
            ax.plot(row.accuracy, y, marker, color=color)
