"""Accuracy by samples N and thinking tokens T, with what tokens are best spent on."""

import matplotlib.figure
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from testtime.present.figures.parts import name_panel
from testtime.present.figures.rows import as_in_study, unique
from testtime.present.figures.style import nothing, panels
from testtime.present.registry import Figure
from testtime.study.vocabulary import ALL, COT, INTERVAL, MAJORITY

FIGURE = Figure(
    title="How many samples of how much thinking",
    see="How accuracy grows to the right by more samples and upwards by more thinking. Outlined: "
    "what is chosen at some amount of tokens, so the outlines are the way along which more tokens "
    "are best spent.",
    computed="Expected accuracy in percent of one sample (N = 1, CoT) and of majority voting over "
    "N samples, each of at most T thinking tokens; thoughts that would go on are cut there and the "
    "answer is drawn. The choice for an amount of tokens is among all strategies whose mean cost "
    "fits, whatever their vote, one for all problems.",
    inputs=("thinking", "cost_choices"),
    settings=("policies",),
    needs=("thinks",),
)
COLUMNS = ["dataset", "policy", "method", "thinking", "budget", "accuracy", *INTERVAL]


def data(
    *, thinking: pd.DataFrame, cost_choices: pd.DataFrame, policies: dict[str, float]
) -> pd.DataFrame:
    """CoT and majority voting at every T and N.

    Args:
        thinking: rows of `thinking.csv`.
        cost_choices: rows of `cost_choices.csv`.
        policies: parameters of each.

    Returns:
        dataset, policy, method, thinking, budget, accuracy, ci_low, ci_high, n_problems, chosen
        (whether it is the choice for some amount of tokens).
    """
    rows = thinking[(thinking["difficulty"] == ALL) & thinking["method"].isin([COT, MAJORITY])]
    rows = rows[[*COLUMNS, "n_problems"]]
    best = cost_choices[
        (cost_choices["axis"] == "policy_tokens") & (cost_choices["binning"] == ALL)
    ]
    best = best[["dataset", "policy", "thinking", "strategy_budget"]].drop_duplicates()
    chosen = set(best.itertuples(index=False, name=None))
    keys = rows[["dataset", "policy", "thinking", "budget"]].itertuples(index=False, name=None)
    return as_in_study(rows.assign(chosen=[key in chosen for key in keys]), policies=policies)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Rows: datasets. Columns: policies. Each a grid of T by N."""
    if data.empty:
        return nothing("no policy of the study thinks")
    datasets, policies = unique(data, "dataset"), unique(data, "policy")
    budgets, thinking = (sorted(data[name].unique()) for name in ("budget", "thinking"))
    size = (0.42 * len(budgets) + 0.4, 0.3 * len(thinking) + 0.3)
    figure, axes = panels(len(datasets), len(policies), size=size, sharex=True, sharey=True)
    for row, dataset in enumerate(datasets):
        for column, policy in enumerate(policies):
            ax = axes[row, column]
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            grid = here.pivot_table(index="thinking", columns="budget", values="accuracy")
            ax.imshow(
                grid.reindex(index=thinking, columns=budgets),
                origin="lower", aspect="auto", cmap="YlGnBu", vmin=0, vmax=1,
            )  # fmt: skip
            for cell in here.to_dict("records"):
                place = budgets.index(cell["budget"]), thinking.index(cell["thinking"])
                _cell(ax, *place, cell)
            ax.set_xticks(range(len(budgets)), [str(int(n)) for n in budgets])
            ax.set_yticks(range(len(thinking)), [str(int(t)) for t in thinking])
            ax.grid(visible=False)
            if row == 0:
                name_panel(ax, policy)
            if column == 0:
                ax.set_ylabel(f"{dataset}\nThinking tokens T")
    figure.supxlabel(f"Samples N ({int(data['n_problems'].max())} problems)")
    return figure


def _cell(ax: Axes, x: int, y: int, cell: dict) -> None:
    dark = cell["accuracy"] > 0.55
    ax.text(
        x, y, f"{100 * cell['accuracy']:.0f}",
        ha="center", va="center", fontsize=6, color="white" if dark else "#222222",
    )  # fmt: skip
    if cell["chosen"]:
        around = Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False, edgecolor="#D55E00")
        around.set_linewidth(1.6)
        ax.add_patch(around)
