"""The lookup as a heat map: policy × difficulty × budget -> strategy."""

import matplotlib.figure
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle

from testtime.present.figures.looks import look, methods_in_order
from testtime.present.figures.parts import name_panel
from testtime.present.figures.rows import as_in_study, in_order, unique
from testtime.present.figures.style import nothing, panels, place_legend
from testtime.present.registry import Figure
from testtime.study.methods import rules
from testtime.study.vocabulary import ANY, CELL, INTERVAL, LEVELS, NONE

FIGURE = Figure(
    title="The compute-optimal lookup",
    see="The strategy to use for each policy, budget and difficulty: the colour is the method, the"
    " text the expected accuracy, the number of problems behind it, the scoring, the vote and the"
    " PRM. Some rules have the colour of a method that they vary; their name is in the cell. Dashed"
    " cells: fewer than half of the fold-wise choices agree, so the problems do not settle which "
    "strategy is best.",
    computed="For each cell the strategy with the highest mean accuracy on the problems of that "
    "level; the accuracy shown is the cross-fitted one, not that of the choice on its own "
    "problems. ``testtime advise`` gives the same answer in words.",
    inputs=("lookup",),
    settings=("policies",),
)

UNSURE = 0.5  # share of fold-wise choices below which a choice is marked as unsettled
CONTEXT = [*CELL, "difficulty", "budget"]
CHOICE = ["method", "scoring", "vote", "prm", "thinking"]
FOUND = ["accuracy", *INTERVAL]


def data(*, lookup: dict, policies: dict[str, float]) -> pd.DataFrame:
    """The lookup's entries by level for which the PRM is part of the choice.

    Args:
        lookup: content of `lookup.json`.
        policies: parameters of each.

    Returns:
        dataset, policy, difficulty, budget, method, scoring, vote, prm, thinking, accuracy
        (cross-fitted), ci_low, ci_high, n_problems, agreement (share of fold-wise choices that are
        this one).
    """
    found = []
    for entry in lookup["contexts"]:
        if entry["prm"] != ANY or entry["difficulty"] not in LEVELS:
            continue
        support = entry["support"]
        found.append(
            {key: entry[key] for key in CONTEXT}
            | {key: entry["strategy"][key] for key in CHOICE}
            | {key: entry[key] for key in FOUND}
            | {
                "n_problems": support["n_problems"],
                "agreement": support["folds_agreeing"] / max(support["folds"], 1),
            }
        )
    rows = pd.DataFrame(found, columns=[*CONTEXT, *CHOICE, *FOUND, "n_problems", "agreement"])
    rows = rows.sort_values("budget", kind="stable")
    return as_in_study(in_order(rows, "difficulty", LEVELS), policies=policies)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Columns: datasets. Rows: levels. In each, policies × budgets: accuracy, strategy, PRM."""
    if data.empty:
        return nothing("the lookup has no entry by difficulty level")
    datasets, policies = unique(data, "dataset"), unique(data, "policy")
    budgets = sorted(data["budget"].unique())
    methods = methods_in_order(data.loc[data["n_problems"] > 0, "method"])
    size = (1.05 * len(budgets), 0.46 * len(policies) + 0.2)
    figure, axes = panels(len(LEVELS), len(datasets), size=size, sharex=True, sharey=True)
    for row, level in enumerate(LEVELS):
        for column, dataset in enumerate(datasets):
            ax = axes[row, column]
            here = data[(data["dataset"] == dataset) & (data["difficulty"] == level)]
            for cell in here.to_dict("records"):
                _cell(ax, budgets.index(cell["budget"]), policies.index(cell["policy"]), cell)
            ax.set_xlim(0, len(budgets))
            ax.set_ylim(len(policies), 0)
            ax.set_xticks([i + 0.5 for i in range(len(budgets))], [str(int(n)) for n in budgets])
            ax.set_yticks([i + 0.5 for i in range(len(policies))], policies)
            ax.grid(visible=False)
            ax.tick_params(length=0)
            if row == 0:
                name_panel(ax, dataset)
            if column == 0:
                ax.set_ylabel(level.capitalize(), fontweight="bold")
    figure.supxlabel("Budget N")
    handles = [Patch(color=_tint(look(method).color)) for method in methods]
    place_legend(figure, handles, [look(method).label for method in methods])
    return figure


def _tint(color: str, strength: float = 0.4) -> tuple[float, ...]:
    """The method's colour mixed with white, so that black text stays legible on it."""
    return tuple(1 - strength * (1 - part) for part in to_rgb(color))


def _cell(ax: Axes, x: int, y: int, cell: dict) -> None:
    n = int(cell["n_problems"])
    face = _tint(look(cell["method"]).color) if n else "#f4f4f4"
    ax.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor="white"))
    centre = {"ha": "center", "va": "center", "fontsize": 5.8}
    if not n:
        ax.text(x + 0.5, y + 0.5, "no problems", color="#777777", **centre)
        return
    parts = (cell["scoring"], cell["vote"])
    how = " ".join(part for part in parts if part not in (NONE, cell["method"]))
    if cell["method"] in rules():  # which have the colours of other methods
        how = look(cell["method"]).label
    model = "" if cell["prm"] == NONE else cell["prm"]
    model = f"T = {int(cell['thinking'])}" if cell["thinking"] else model
    lines = [f"{100 * cell['accuracy']:.0f}% (n={n})", how, model]
    ax.text(x + 0.5, y + 0.5, "\n".join(filter(None, lines)), **centre)
    if cell["agreement"] < UNSURE:
        inside = Rectangle((x + 0.04, y + 0.07), 0.92, 0.86, fill=False, edgecolor="#555555")
        inside.set_linestyle((0, (3, 3)))
        ax.add_patch(inside)
