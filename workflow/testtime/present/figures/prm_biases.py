"""Biases of PRMs: how long the solutions they choose are, how they score wrong short ones."""

import matplotlib.figure
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from testtime.present.figures.looks import group_look
from testtime.present.figures.parts import budget_axis, error_bars, name_panel
from testtime.present.figures.rows import as_in_study, in_order, unique
from testtime.present.figures.style import group_handles, nothing, panels, place_legend
from testtime.present.registry import Figure
from testtime.study.vocabulary import CELL, INTERVAL

FIGURE = Figure(
    title="Biases of PRMs",
    see="Above: whether the solution that a PRM likes best is longer or shorter than the policy's "
    "usual one (1 means neither). Below: whether wrong solutions (solid) score higher when they "
    "are short or long; right ones (dashed) for comparison. A large gap between solid and dashed "
    "is a PRM that tells right from wrong.",
    computed="Samples of the pool's first block. The length is that of the expected best-of-N "
    "choice over the mean length; short, middle and long are thirds of a problem's own samples, "
    "so that long answers of hard problems do not count as long. Means of fewer than ten samples "
    "are left out. Bands and bars are bootstrap intervals over problems.",
    inputs=("prm_length", "prm_bias"),
    settings=("policies", "prms"),
    needs=("scores",),
)

THIRDS = ["short", "middle", "long"]
CHOSEN, SCORE = "chosen length", "score"
FEWEST = 10  # fewest samples for a mean score to be drawn
COLUMNS = [*CELL, "prm", "kind", "correct", "x", "value", *INTERVAL, "n_samples"]
ASIDE = 0.05  # thirds: offset between points of right and wrong samples, to show both intervals


def data(
    *,
    prm_length: pd.DataFrame,
    prm_bias: pd.DataFrame,
    policies: dict[str, float],
    prms: list[str],
) -> pd.DataFrame:
    """Both biases in one table.

    Args:
        prm_length: rows of `prm_length.csv`.
        prm_bias: rows of `prm_bias.csv`.
        policies: parameters of each.
        prms: of the study.

    Returns:
        dataset, policy, prm, kind, correct, x, value, ci_low, ci_high, n_samples. Kind "chosen
        length": x is N, value the length of the best-of-N sample over the pool's mean length. Kind
        "score": x is the third of the problem's lengths, value the mean score of its right or wrong
        samples.
    """
    lengths = prm_length.assign(
        kind=CHOSEN,
        x=prm_length["budget"].astype(str),
        value=prm_length["ratio"],
        ci_low=prm_length["ratio_low"],
        ci_high=prm_length["ratio_high"],
    )
    scores = prm_bias.assign(
        kind=SCORE,
        x=prm_bias["length"],
        value=prm_bias["mean_score"],
        ci_low=prm_bias["score_low"],
        ci_high=prm_bias["score_high"],
    )
    both = (lengths, in_order(scores, "x", THIRDS))
    rows = pd.concat([part.reindex(columns=COLUMNS) for part in both], ignore_index=True)
    return as_in_study(rows, policies=policies, prms=prms)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Per dataset, above: length of the chosen sample; below: scores by length."""
    if data.empty:
        return nothing("no sample of the pool was scored")
    datasets, policies = unique(data, "dataset"), unique(data, "policy")
    prms = unique(data, "prm")
    figure, axes = panels(2 * len(datasets), len(policies), size=(1.8, 1.5), sharey="row")
    for i, dataset in enumerate(datasets):
        for column, policy in enumerate(policies):
            here = data[(data["dataset"] == dataset) & (data["policy"] == policy)]
            top, bottom = axes[2 * i, column], axes[2 * i + 1, column]
            for prm in prms:
                rows = here[here["prm"] == prm]
                _lengths(top, rows[rows["kind"] == CHOSEN], *group_look(prms, prm))
                _scores(bottom, rows[rows["kind"] == SCORE], *group_look(prms, prm))
            _label(top, bottom, here, data, f"{dataset}\n" if len(datasets) > 1 else "")
            name_panel(top, policy)
            if column:
                top.set_ylabel("")
                bottom.set_ylabel("")
    handles = group_handles(prms)
    handles += [Line2D([], [], color="#555"), Line2D([], [], color="#555", linestyle="--")]
    place_legend(figure, handles, [*prms, "Wrong samples", "Right samples"])
    return figure


def _label(top: Axes, bottom: Axes, here: pd.DataFrame, data: pd.DataFrame, prefix: str) -> None:
    top.axhline(1, color="#555", linewidth=0.8, zorder=1)
    low, high = data.loc[data["kind"] == CHOSEN, "value"].agg(["min", "max"])
    top.set_ylim(min(low, 0.95) - 0.01, max(high, 1.05) + 0.01)
    budget_axis(top, data.loc[data["kind"] == CHOSEN, "x"].astype(int))
    top.set_ylabel(f"{prefix}Chosen length\n÷ mean length")
    bottom.set_ylabel(f"{prefix}Mean score")
    bottom.set_xticks(range(len(THIRDS)), THIRDS)
    bottom.set_xlim(-0.3, len(THIRDS) - 0.7)
    bottom.set_ylim(-0.03, 1.03)
    scored = here[here["kind"] == SCORE]
    n = int(scored.groupby("prm")["n_samples"].sum().max()) if len(scored) else 0
    bottom.set_xlabel(f"Length ({n} samples)")


def _lengths(ax: Axes, rows: pd.DataFrame, color: str, marker: str) -> None:
    x = rows["x"].astype(int)
    ax.plot(x, rows["value"], color=color, marker=marker)
    ax.fill_between(x, rows["ci_low"], rows["ci_high"], color=color, alpha=0.11, linewidth=0)


def _scores(ax: Axes, rows: pd.DataFrame, color: str, marker: str) -> None:
    rows = rows[rows["n_samples"] >= FEWEST]
    for correct, dashes in ((0, "-"), (1, "--")):
        chosen = rows[rows["correct"] == correct]
        places = [THIRDS.index(third) + correct * ASIDE for third in chosen["x"]]
        ax.plot(places, chosen["value"], dashes, color=color, marker=marker)
        error_bars(ax, places, chosen, "value", color=color)
