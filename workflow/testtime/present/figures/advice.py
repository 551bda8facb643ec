"""What `testtime advise --figure` draws: accuracy against what is spent, the advice marked."""

import matplotlib.figure
import pandas as pd

from testtime.fit.advise import BUDGET, CURRENCIES, Question, curves
from testtime.present.figures.looks import Look, group_look
from testtime.present.figures.parts import (
    budget_axis,
    cost_axis,
    line,
    note_problems,
    percent_axis,
)
from testtime.present.figures.rows import by_size, in_order, unique
from testtime.present.figures.style import group_handles, nothing, panels, place_legend
from testtime.study.vocabulary import INTERVAL

DARK = "#444444"


def data(table: dict, question: Question, answer: dict) -> pd.DataFrame:
    """The curve of every policy that was asked for.

    Args:
        table: of `lookup.load`.
        question: as it was asked.
        answer: of `advise`.

    Returns:
        dataset, policy, currency, amount, accuracy, ci_low, ci_high, n_problems, advised (the one
        row that is the advice), limit and target (missing where not asked).
    """
    advice = answer["advice"]
    columns = ["dataset", "policy", "amount", "accuracy", *INTERVAL]
    rows = [
        {key: step[key] for key in columns}
        | {"n_problems": step["support"]["n_problems"]}
        | {"advised": (policy, step["amount"]) == (advice["policy"], advice["amount"])}
        for policy, curve in curves(table, question).items()
        for step in curve
    ]
    asked = {"currency": question.currency, "limit": question.limit, "target": question.target}
    sizes = {name: facts["parameters"] for name, facts in table["policies"].items()}
    return in_order(pd.DataFrame(rows), "policy", by_size(sizes)).assign(**asked)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """A line per policy, a star at the advice, dashed lines at the limit and the target."""
    if data["accuracy"].isna().all():
        return nothing("the study had no problem of this difficulty")
    currency, limit, target = data[["currency", "limit", "target"]].iloc[0]
    policies = unique(data, "policy")
    figure, axes = panels(1, 1, size=(4.2, 2.5))
    ax = axes[0, 0]
    for policy in policies:
        line(
            ax,
            data[data["policy"] == policy],
            Look(policy, *group_look(policies, policy)),
            x="amount",
        )
    for value, across in ((limit, ax.axvline), (target, ax.axhline)):
        if pd.notna(value):
            across(float(value), color=DARK, linestyle="--", linewidth=0.8)
    advice = data[data["advised"]]
    star = {"markersize": 13, "markeredgecolor": DARK, "zorder": 5}
    color, _ = group_look(policies, advice["policy"].iloc[0])
    ax.plot(advice["amount"], advice["accuracy"], "*", color=color, **star)
    label = CURRENCIES[currency].label
    if currency == BUDGET:
        budget_axis(ax, data["amount"], label)
    else:
        cost_axis(ax, data["amount"], label)
    percent_axis(ax, f"{data['dataset'].iloc[0]}\nAccuracy (%)")
    note_problems(ax, data)
    place_legend(figure, group_handles(policies), policies)
    return figure
