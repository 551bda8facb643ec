"""Parts of figures: axes, lines with their intervals, notes and names inside a panel."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from testtime.present.figures.looks import Look, look
from testtime.study.vocabulary import COT


def name_panel(ax: Axes, text: str) -> None:
    """A panel's title, smaller if it would overlap its neighbour's."""
    longest = max(map(len, text.splitlines()))
    room = ax.figure.get_figwidth() / ax.get_gridspec().ncols
    ax.set_title(text, fontsize=min(8.0, 8.0 * room / (0.067 * longest)))


def note_problems(ax: Axes, data: pd.DataFrame, prefix: str = "") -> None:
    """The number of problems, in the panel's corner."""
    text = ", ".join(filter(None, [prefix, f"{int(data['n_problems'].max())} problems"]))
    ax.text(
        0.98,
        0.03,
        text,
        transform=ax.transAxes,
        ha="right",
        va="bottom",
        fontsize=6,
        color="#555",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.6},
    )


def budget_axis(ax: Axes, budgets: Iterable[int], label: str | None = "Budget N") -> None:
    """Log2 axis with a tick at every budget."""
    ticks = sorted({int(budget) for budget in budgets})
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    if len(ticks) > 1:
        ax.set_xlim(ticks[0] / 2**0.35, ticks[-1] * 2**0.35)
    if label:
        ax.set_xlabel(label)


def token_axis(ax: Axes) -> None:
    """Log2 axis of tokens."""
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def cost_axis(ax: Axes, costs: pd.Series, label: str = "FLOPs per problem") -> None:
    """The same log axis for every policy, so that policies compare at equal cost."""
    low, high = costs[costs > 0].min(), costs.max()
    decades = np.log10(high / low)
    margin = 1.5 if decades >= 1 else max(1.1, 10 ** (decades / 10))
    ax.set_xscale("log")
    ax.set_xlim(low / margin, high * margin)
    ax.set_xlabel(label)
    if decades < 1 and high < 1e4:
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        return
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades >= 1.5 else (1.0, 3.0)))
    ax.xaxis.set_major_formatter(_power)
    ax.xaxis.set_minor_formatter(NullFormatter())


def percent_axis(ax: Axes, label: str | None = "Accuracy (%)") -> None:
    """Show shares on the y axis as percent."""
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}" if value < 1.001 else "")
    if label:
        ax.set_ylabel(label)


def method_lines(ax: Axes, data: pd.DataFrame, methods: list[str]) -> None:
    """Every method's line; CoT, which has no budget, as a horizontal line."""
    for method in methods:
        chosen = data[data["method"] == method]
        if chosen.empty:
            continue
        if method == COT:
            style, level = look(COT), chosen.iloc[0]
            ax.axhline(level["accuracy"], color=style.color, linestyle=style.line, zorder=1)
            ax.axhspan(
                level["ci_low"], level["ci_high"], color=style.color, alpha=0.08, linewidth=0
            )
        else:
            line(ax, chosen, look(method))


def line(ax: Axes, data: pd.DataFrame, style: Look, x: str = "budget", y: str = "accuracy") -> None:
    """One method's line with its interval as a band; a lone point gets an error bar."""
    data = data.sort_values(x)
    marker = {"marker": style.marker or None, "markersize": 7 if style.marker == "*" else 4}
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.4}
    ax.plot(data[x], data[y], style.line, color=style.color, **marker, **edge)
    if {"ci_low", "ci_high"} <= set(data) and len(data) > 1:
        ax.fill_between(
            data[x], data["ci_low"], data["ci_high"], color=style.color, alpha=0.11, linewidth=0
        )
    elif {"ci_low", "ci_high"} <= set(data):
        error_bars(ax, data[x], data, color=style.color)


def error_bars(
    ax: Axes, x: object, data: pd.DataFrame, y: str = "accuracy", **kwargs: object
) -> None:
    """Vertical intervals from the columns ci_low and ci_high."""
    reach = [data[y] - data["ci_low"], data["ci_high"] - data[y]]
    ax.errorbar(x, data[y], yerr=np.clip(reach, 0, None), fmt="none", elinewidth=0.9, **kwargs)


def _power(value: float, _: int) -> str:
    exponent = int(np.floor(np.log10(value) + 1e-9))
    factor = round(value / 10**exponent)
    return f"$10^{{{exponent}}}$" if factor == 1 else f"${factor}{{\\cdot}}10^{{{exponent}}}$"
