"""The look that every figure shares: one colour and marker per method, column-width type."""

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from testtime.data.store import atomic
from testtime.present.figures.looks import Look, look

DPI = 200
PANEL = (2.0, 1.6)  # inches, width and height of one panel
PAGE, NARROWEST = 6.4, 1.4  # inches: all columns together, and one of them at least

STYLE = sns.axes_style("whitegrid") | {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same glyphs on every machine
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "figure.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.6,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "pdf.fonttype": 42,  # text stays text
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw under STYLE, whatever the caller's settings."""

    @wraps(draw)
    def wrapped(*args: object, **kwargs: object) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapped


def save(figure: Figure, *paths: str | Path) -> None:
    """Write a figure by each path's suffix; no dates, so the same data give the same bytes."""
    dates = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Producer": None}}
    for path in map(Path, paths):
        with mpl.rc_context(STYLE), atomic(path) as temporary:
            metadata = dates.get(path.suffix, {})
            figure.savefig(temporary, dpi=DPI, metadata=metadata, bbox_inches="tight")


def panels(
    rows: int, columns: int, size: tuple[float, float] = PANEL, **kwargs: object
) -> tuple[Figure, np.ndarray]:
    """A figure of rows × columns panels and its axes as a 2-D array.

    Several columns share a page's width while that leaves them legible; a lone one is made wider,
    so that titles and legends fit.
    """
    width = max(min(size[0], max(PAGE / columns, NARROWEST)) * columns, 3.4) + 0.5
    figure = Figure(figsize=(width, size[1] * rows + 0.7), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def name_panel(ax: Axes, text: str) -> None:
    """A panel's title, set smaller where it would run into its neighbour's."""
    longest = max(map(len, text.splitlines()))
    room = ax.figure.get_figwidth() / ax.get_gridspec().ncols
    ax.set_title(text, fontsize=min(8.0, 8.0 * room / (0.067 * longest)))


def nothing(reason: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.5, 1.2), layout="constrained")
        text = f"Nothing to show: {reason}"
        figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color="#555555")
        return figure


def budget_axis(ax: Axes, budgets: Iterable[int], label: str | None = "Budget N") -> None:
    """Log2 axis with a tick at every budget."""
    ticks = sorted({int(budget) for budget in budgets})
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    if len(ticks) > 1:
        ax.set_xlim(ticks[0] / 2**0.35, ticks[-1] * 2**0.35)
    if label:
        ax.set_xlabel(label)


def percent_axis(ax: Axes, label: str | None = "Accuracy (%)") -> None:
    """Shares on the y axis read as percent."""
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}" if value < 1.001 else "")
    if label:
        ax.set_ylabel(label)


def line(
    ax: Axes, data: pd.DataFrame, style: Look, x: str = "budget", y: str = "accuracy"
) -> Line2D:
    """One method's line with its interval as a band; a lone point gets an error bar."""
    data = data.sort_values(x)
    marker = {"marker": style.marker or None, "markersize": 7 if style.marker == "*" else 4}
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.4}
    (drawn,) = ax.plot(data[x], data[y], style.line, color=style.color, **marker, **edge)
    if {"ci_low", "ci_high"} <= set(data) and len(data) > 1:
        ax.fill_between(
            data[x], data["ci_low"], data["ci_high"], color=style.color, alpha=0.11, linewidth=0
        )
    elif {"ci_low", "ci_high"} <= set(data):
        error_bars(ax, data[x], data, color=style.color)
    return drawn


def error_bars(
    ax: Axes, x: object, data: pd.DataFrame, y: str = "accuracy", **kwargs: object
) -> None:
    """Vertical intervals from the columns ci_low and ci_high."""
    reach = [data[y] - data["ci_low"], data["ci_high"] - data[y]]
    ax.errorbar(x, data[y], yerr=np.clip(reach, 0, None), fmt="none", elinewidth=0.9, **kwargs)


def legend(figure: Figure, methods: Iterable[str], **kwargs: object) -> None:
    """One legend of methods above all panels."""
    handles = [
        Line2D([], [], color=style.color, marker=style.marker or None, linestyle=style.line)
        for style in map(look, methods)
    ]
    labels = [look(method).label for method in methods]
    place_legend(figure, handles, labels, **kwargs)


def place_legend(figure: Figure, handles: list, labels: list[str], **kwargs: object) -> None:
    """Put a frameless legend above the panels, in as many columns as the width holds."""
    longest = max(map(len, labels), default=1)
    columns = int(np.clip(figure.get_figwidth() / (0.057 * longest + 0.42), 1, len(labels) or 1))
    figure.legend(
        handles, labels, loc="outside upper center", ncols=columns, frameon=False, **kwargs
    )
