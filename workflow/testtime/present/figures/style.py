"""Shared by all figures: type, size on a page, legend, and how files are written."""

from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from testtime.data.store import atomic, read_csv, write_csv
from testtime.present.figures.looks import DPI, group_look, look

PANEL = (2.0, 1.6)  # inches, width and height of one panel
PAGE, NARROWEST = 6.4, 1.4  # inches: all columns together, and the least for one column

# A white ground with a grid and no tick marks, like "whitegrid" of seaborn, which takes longer to
# import than most figures take to draw.
STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelcolor": ".15",
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "text.color": ".15",
    "xtick.bottom": False,
    "xtick.color": ".15",
    "ytick.color": ".15",
    "ytick.left": False,
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


def render(
    data: pd.DataFrame,
    draw: Callable[[pd.DataFrame], Figure],
    *,
    table: str | Path,
    images: Iterable[str | Path],
) -> None:
    """Write a figure's data, then draw it under STYLE from that file alone.

    Args:
        data: the rows that are drawn.
        draw: of the figure's module.
        table: where the rows go.
        images: where the figure goes, in the format of each path's suffix. They hold no dates: the
            same data give the same bytes.
    """
    write_csv(data, table)
    save(read_csv(table), draw, images=images)


def save(
    data: pd.DataFrame, draw: Callable[[pd.DataFrame], Figure], *, images: Iterable[str | Path]
) -> None:
    """Draw a figure under STYLE; arguments as of `render`."""
    dates = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Producer": None}}
    dates[".svg"] = {"Date": None}
    with mpl.rc_context(STYLE):
        figure = draw(data)
        for path in map(Path, images):
            with atomic(path) as temporary:
                metadata = dates.get(path.suffix, {})
                figure.savefig(temporary, dpi=DPI, metadata=metadata, bbox_inches="tight")


def panels(
    rows: int, columns: int, size: tuple[float, float] = PANEL, **kwargs: object
) -> tuple[Figure, np.ndarray]:
    """A figure of rows × columns panels and its axes as a 2-D array.

    Several columns share a page's width as long as they stay legible; a single one is made wider,
    so that titles and legends fit.
    """
    width = max(min(size[0], max(PAGE / columns, NARROWEST)) * columns, 3.4) + 0.5
    figure = Figure(figsize=(width, size[1] * rows + 0.7), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def nothing(reason: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure = Figure(figsize=(4.5, 1.2), layout="constrained")
    text = f"Nothing to show: {reason}"
    figure.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color="#555555")
    return figure


def legend(figure: Figure, methods: Iterable[str], **kwargs: object) -> None:
    """One legend of methods above all panels."""
    handles = [
        Line2D([], [], color=style.color, marker=style.marker or None, linestyle=style.line)
        for style in map(look, methods)
    ]
    labels = [look(method).label for method in methods]
    place_legend(figure, handles, labels, **kwargs)


def group_handles(names: list[str], **kwargs: object) -> list[Line2D]:
    """A legend's handles of PRMs or policies, each with its colour and marker."""
    looks = [group_look(names, name) for name in names]
    return [Line2D([], [], color=color, marker=marker, **kwargs) for color, marker in looks]


def place_legend(figure: Figure, handles: list, labels: list[str], **kwargs: object) -> None:
    """Put a frameless legend above the panels, in as many columns as the width holds."""
    longest = max(map(len, labels), default=1)
    columns = int(np.clip(figure.get_figwidth() / (0.057 * longest + 0.42), 1, len(labels) or 1))
    figure.legend(
        handles, labels, loc="outside upper center", ncols=columns, frameon=False, **kwargs
    )
