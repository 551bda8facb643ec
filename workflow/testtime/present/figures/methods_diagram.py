"""The TTS methods as a diagram, for N = 4 candidates and beam width M = 2."""

import matplotlib.figure
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from testtime.present.figures.looks import look
from testtime.present.figures.style import nothing, panels, place_legend
from testtime.present.registry import Figure

FIGURE = Figure(
    title="The TTS methods",
    see="How each method spends a budget of N = 4 with beam width M = 2. Circles are steps, "
    "squares are finished paths that take part in the vote, hollow circles were scored and "
    "dropped.",
    computed="A drawing of the definitions, with made-up scores: majority voting and best-of-N "
    "draw N whole solutions; beam search keeps the best N/M of N candidates at each step; DVTS "
    "grows N/M separate subtrees and keeps one candidate in each.",
)

DEPTH = 3
# (parent, score of each child) per expanded node, step by step. A tree keeps what `keep` says.
BEAM = [
    [("q", (0.9, 0.4)), ("q", (0.7, 0.3))],
    [("1.0", (0.8, 0.6)), ("1.2", (0.5, 0.2))],
    [("2.0", (0.7, 0.9)), ("2.1", (0.4, 0.3))],
]
DVTS = [
    [("q", (0.9, 0.4)), ("q", (0.3, 0.7))],
    [("1.0", (0.8, 0.6)), ("1.3", (0.5, 0.2))],
    [("2.0", (0.7, 0.9)), ("2.2", (0.4, 0.6))],
]
NOTES = {
    "majority": "N whole samples;\nthe most frequent answer",
    "best_of_n": "N whole samples, scored by\nthe PRM; best or weighted vote",
    "beam_search": "N candidates a step; the best\nN/M of all are kept",
    "dvts": "N/M subtrees; in each the\nbest one of M is kept",
}
BARE = {"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.8}
COLUMNS = ["method", "note", "node", "parent", "x", "depth", "score", "state"]


def data() -> pd.DataFrame:
    """Nodes of the example trees.

    Returns:
        method, note, node, parent (empty for the question), x, depth, score (empty without a PRM),
        state: "question", "kept", "pruned" or "finished" (goes to the vote).
    """
    rows = _samples("majority", None) + _samples("best_of_n", (0.6, 0.9, 0.3, 0.5))
    rows += _tree("beam_search", BEAM, per_subtree=False) + _tree("dvts", DVTS, per_subtree=True)
    return pd.DataFrame(rows, columns=COLUMNS)


def _samples(method: str, scores: tuple[float, ...] | None) -> list[tuple]:
    rows = [(method, NOTES[method], "q", "", 1.5, 0, None, "question")]
    for i in range(4):
        parent = "q"
        for depth in range(1, DEPTH + 1):
            last = depth == DEPTH
            score = scores[i] if last and scores else None
            state = "finished" if last else "kept"
            node = f"{depth}.{i}"
            rows.append((method, NOTES[method], node, parent, float(i), depth, score, state))
            parent = node
    return rows


def _tree(method: str, steps: list, *, per_subtree: bool) -> list[tuple]:
    rows = [(method, NOTES[method], "q", "", 1.5, 0, None, "question")]
    for depth, expansions in enumerate(steps, 1):
        candidates = [(p, s) for p, scores in expansions for s in scores]
        groups = (candidates[:2], candidates[2:]) if per_subtree else (candidates,)
        kept = {c for g in groups for c in sorted(g, key=lambda c: -c[1])[: 2 // len(groups)]}
        for i, (parent, score) in enumerate(candidates):
            state = "pruned" if (parent, score) not in kept else "kept"
            if state == "kept" and depth == DEPTH:
                state = "finished"
            note = NOTES[method]
            rows.append((method, note, f"{depth}.{i}", parent, float(i), depth, score, state))
    return rows


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """One panel per method; steps go downwards."""
    if data.empty:
        return nothing("the diagram has no node")
    methods = list(dict.fromkeys(data["method"]))
    figure, axes = panels(1, len(methods), size=(1.72, 2.2))
    for ax, method in zip(axes[0], methods, strict=True):
        rows = data[data["method"] == method]
        _panel(ax, rows, look(method).color)
        ax.set_title(look(method).label, color=look(method).color, fontweight="bold")
        ax.set_xlabel(rows["note"].iloc[0], fontsize=6.5)
    marks = [
        Line2D([], [], marker="o", linestyle="", color="#555", label="Step, kept"),
        Line2D([], [], marker="o", linestyle="", mfc="white", mec="#aaa", label="Step, pruned"),
        Line2D([], [], marker="s", linestyle="", color="#555", label="Finished path, votes"),
    ]
    place_legend(figure, marks, [mark.get_label() for mark in marks])
    figure.axes[0].text(1.62, 0.06, "Question", fontsize=6.5, va="bottom")
    return figure


def _panel(ax: Axes, rows: pd.DataFrame, color: str) -> None:
    where = {row.node: (row.x, -row.depth) for row in rows.itertuples()}
    for row in rows.itertuples():
        x, y = where[row.node]
        pruned = row.state == "pruned"
        if row.state != "question":
            px, py = where[row.parent]
            dashes, tone = (":", "#bbbbbb") if pruned else ("-", color)
            ax.plot([px, x], [py, y], dashes, color=tone, linewidth=1, zorder=1)
        face, edge = {
            "question": ("#333333", "#333333"),
            "pruned": ("white", "#aaaaaa"),
        }.get(row.state, (color, color))
        marker = {"finished": "s", "question": "D"}.get(row.state, "o")
        ax.plot(x, y, marker, markersize=7, mfc=face, mec=edge, zorder=2)
        if pd.notna(row.score):
            tone = "#999999" if pruned else "#222222"
            text = f".{10 * row.score:.0f}"
            ax.text(x + 0.16, y - 0.1, text, fontsize=6, va="top", color=tone, bbox=BARE, zorder=3)
    ax.set(xlim=(-0.4, 3.6), ylim=(-DEPTH - 0.4, 0.4), xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.grid(visible=False)
