"""Best-of-N under every scoring and vote: PRM-{Min, Last, Avg} × {Max, Weighted}."""

import matplotlib.figure
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from testtime.present.figures.looks import group_look, look
from testtime.present.figures.parts import name_panel
from testtime.present.figures.rows import as_in_study, unique
from testtime.present.figures.style import group_handles, nothing, panels, place_legend
from testtime.present.registry import Figure
from testtime.study.vocabulary import CELL, INTERVAL, MAX, SCORINGS, WEIGHTED

FIGURE = Figure(
    title="Scoring and voting",
    see="What the way of turning step scores into one score (minimum, last, average) and of "
    "choosing an answer (the best path, or a vote weighted by scores) is worth, beside plain "
    "majority voting at the dashed line.",
    computed="Best-of-N at one budget, minus majority voting at the same budget, on the same "
    "problems. Lines are intervals of that paired difference, each at the study's confidence and "
    "not adjusted for their number.",
    inputs=("voting",),
    settings=("policies", "prms", "headline"),
    needs=("scores",),
)

CHOICES = [(scoring, vote) for vote in (MAX, WEIGHTED) for scoring in SCORINGS]
ACCURACY = ["accuracy", *INTERVAL]
GAIN = ["gain", "gain_low", "gain_high"]
COLUMNS = [*CELL, "prm", "scoring", "vote", "budget", "n_problems", *ACCURACY, *GAIN]


def data(
    *, voting: pd.DataFrame, policies: dict[str, float], prms: list[str], headline: int
) -> pd.DataFrame:
    """Best-of-N at one budget under every scoring and vote.

    Args:
        voting: rows of `voting.csv`.
        policies: parameters of each.
        prms: of the study.
        headline: N.

    Returns:
        dataset, policy, prm, scoring, vote, budget, n_problems, accuracy, ci_low, ci_high, and
        gain, gain_low, gain_high: the paired difference from majority voting at the same budget.
    """
    rows = voting[(voting["method"] == "best_of_n") & (voting["budget"] == headline)]
    rows = rows[COLUMNS].sort_values(["vote", "scoring"], kind="stable")
    return as_in_study(rows, policies=policies, prms=prms)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Rows: datasets. Columns: policies. A dot per PRM, scoring and vote; 0 is majority voting.

    Without majority voting in the study the accuracy itself is drawn.
    """
    if data.empty:
        return nothing("best-of-N did not run at the budget that this figure compares")
    datasets, policies = unique(data, "dataset"), unique(data, "policy")
    prms = unique(data, "prm")
    present = set(data[["scoring", "vote"]].itertuples(index=False, name=None))
    choices = [choice for choice in CHOICES if choice in present]
    paired = bool(data["gain"].notna().any())
    size = (1.7, 0.25 * len(choices) + 0.5)
    figure, axes = panels(len(datasets), len(policies), size=size, sharex=True, sharey=True)
    for row, dataset in enumerate(datasets):
        for column, policy in enumerate(policies):
            ax = axes[row, column]
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            for i, prm in enumerate(prms):
                offset = (i - (len(prms) - 1) / 2) * min(0.3, 0.7 / len(prms))
                _dots(
                    ax,
                    here[here["prm"] == prm],
                    choices,
                    offset=offset,
                    marks=group_look(prms, prm),
                    columns=GAIN if paired else ACCURACY,
                )
            if paired:
                ax.axvline(0, color=look("majority").color, linestyle="--", linewidth=0.9)
            ax.set_yticks(range(len(choices)), [f"{s.capitalize()} + {v}" for s, v in choices])
            ax.set_ylim(len(choices) - 0.5, -0.5)
            ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
            ax.grid(visible=False, axis="y")
            if len(here):
                name_panel(ax, f"{policy}\n{int(here['n_problems'].max())} problems")
            if column == 0 and len(datasets) > 1:
                ax.set_ylabel(dataset)
    what = "Best-of-N minus majority voting (points)" if paired else "Accuracy of best-of-N (%)"
    figure.supxlabel(f"{what}, N = {int(data['budget'].iloc[0])}")
    handles = group_handles(prms, linestyle="")
    names = list(prms)
    if paired:
        handles.append(Line2D([], [], color=look("majority").color, linestyle="--", linewidth=0.9))
        names.append("Majority")
    place_legend(figure, handles, names)
    return figure


def _dots(
    ax: Axes,
    here: pd.DataFrame,
    choices: list[tuple[str, str]],
    *,
    offset: float,
    marks: tuple[str, str],
    columns: list[str],
) -> None:
    color, marker = marks
    for row in here.to_dict("records"):
        choice = (row["scoring"], row["vote"])
        if choice in choices:
            y = choices.index(choice) + offset
            value, low, high = (row[column] for column in columns)
            ax.plot([low, high], [y, y], color=color, linewidth=0.9)
            ax.plot(value, y, marker, color=color)
