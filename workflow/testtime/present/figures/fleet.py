"""What `testtime fleet --figure` draws: busy GPUs over time by stage, and hours against GPUs."""

from collections.abc import Sequence

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from testtime.present.figures.style import panels, place_legend
from testtime.study.fleet import HOUR, Replay, lower_bound

MOMENTS = 400  # at which GPUs are counted
COLORS = {"generate": "#0072B2", "score": "#E69F00", "search": "#009E73"}
COLORS |= {"redone": "#D55E00", "away": "#c8c8c8"}
DARK = "#444444"


def data(replays: Sequence[Replay]) -> pd.DataFrame:
    """The busy GPUs of each fleet at each moment, by stage.

    Returns:
        gpus, hour, stage ("redone": work and starts that a fault made to be done again; "away":
        GPUs of preempted nodes), busy, makespan, bound (hours), idle (share).
    """
    return pd.concat([_over_time(replay) for replay in replays], ignore_index=True)


def _over_time(replay: Replay) -> pd.DataFrame:
    makespan, tasks, nodes = replay.makespan_s, replay.tasks, replay.fleet.nodes
    spans = [("away", nodes[node], gone, back) for node, gone, back in replay.absences]
    for stay in replay.stays:
        task, lost = tasks[stay.task], stay.end - stay.start - stay.useful
        if task.gpus:  # what is lost is drawn at the end of the stay
            spans.append((task.name, task.gpus, stay.start, stay.end - lost))
            spans.append(("redone", task.gpus, stay.end - lost, stay.end))
    edges = np.linspace(0.0, makespan, MOMENTS + 1)
    busy = {stage: np.zeros(MOMENTS) for stage in COLORS}
    for stage, gpus, start, end in spans:
        inside = np.clip(edges[1:], start, end) - np.clip(edges[:-1], start, end)
        busy[stage] += gpus * inside / (edges[1] - edges[0])
    hours = (edges[:-1] + edges[1:]) / 2 / HOUR
    rows = [pd.DataFrame({"hour": hours, "stage": name, "busy": own}) for name, own in busy.items()]
    bound = lower_bound(tasks, replay.fleet.gpus) / HOUR
    facts = {"gpus": replay.fleet.gpus, "makespan": makespan / HOUR, "bound": bound}
    return pd.concat(rows).assign(**facts, idle=replay.idle)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """A panel per fleet, then hours against GPUs beside the bound."""
    fleets = list(dict.fromkeys(data["gpus"]))
    figure, axes = panels(1, len(fleets) + 1, size=(2.1, 1.9))
    for ax, gpus in zip(axes[0], fleets, strict=False):
        _stack(ax, data[data["gpus"] == gpus], gpus)
    ends = data.drop_duplicates("gpus")
    ax = axes[0, -1]
    ax.plot(ends["gpus"], ends["bound"], "--", color=DARK, linewidth=0.9)
    ax.plot(ends["gpus"], ends["makespan"], "o-", color=DARK)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(fleets, [str(gpus) for gpus in fleets])
    ticks = [n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if _within(n, ends)]
    ax.set_yticks(ticks, [str(n) for n in ticks])
    ax.minorticks_off()
    ax.set(xlabel="GPUs", ylabel="Hours")
    handles = [Patch(color=color) for color in COLORS.values()]
    handles += [Line2D([], [], color=DARK, marker="o"), Line2D([], [], color=DARK, linestyle="--")]
    place_legend(figure, handles, [*COLORS, "hours", "least possible"])
    return figure


def _stack(ax: Axes, rows: pd.DataFrame, gpus: int) -> None:
    heights = [rows.loc[rows["stage"] == stage, "busy"].to_numpy() for stage in COLORS]
    hours = rows["hour"].unique()
    ax.stackplot(hours, *heights, colors=COLORS.values(), linewidth=0)
    makespan, idle = rows[["makespan", "idle"]].iloc[0]
    ax.set(xlim=(0, makespan), ylim=(0, gpus), yticks=np.linspace(0, gpus, 5))
    ax.set(xlabel="Hours", ylabel="GPUs")
    ax.set_title(f"{gpus} GPUs: {makespan:.1f} h, {idle:.0%} idle")


def _within(n: float, ends: pd.DataFrame) -> bool:
    return ends["bound"].min() / 1.5 <= n <= 1.5 * ends["makespan"].max()
