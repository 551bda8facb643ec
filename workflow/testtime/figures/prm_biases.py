"""Biases of PRMs: how long the solutions they choose are, how they score wrong short ones."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from testtime.figures.data import by_size, in_order, unique
from testtime.figures.style import group_look, nothing, panels, place_legend, styled

N_BINS = 5
CHOSEN, WRONG, RIGHT = "chosen length", "score of wrong", "score of right"
COLUMNS = ["dataset", "policy", "prm", "kind", "tokens", "value", "ci_low", "ci_high", "n_problems"]


def cell_biases(
    samples: pd.DataFrame, *, dataset: str, policy: str, prm: str, confidence: float = 0.95
) -> pd.DataFrame:
    """One PRM's choices and scores on one policy's samples.

    Args:
        samples: problem_id, tokens, score (of the path's last step), correct (nullable).
        dataset: name.
        policy: name.
        prm: name.
        confidence: coverage of the intervals, which are Student's t over problems.

    Returns:
        COLUMNS. Kind "chosen length": tokens of the best-scored sample over the problem's mean
        (value 1: no bias; ties share). Kinds "score of wrong" and "score of right": mean score of
        such samples in each fifth of the policy's lengths, `tokens` being that fifth's median.
    """
    samples = samples.dropna(subset=["score"])
    key = {"dataset": dataset, "policy": policy, "prm": prm}
    if samples.empty:
        return pd.DataFrame(columns=COLUMNS)
    groups = samples.groupby("problem_id")
    best = samples[samples["score"] == groups["score"].transform("max")]
    ratio = best.groupby("problem_id")["tokens"].mean() / groups["tokens"].mean()
    found = [{"kind": CHOSEN, "tokens": samples["tokens"].mean(), **_mean(ratio, confidence)}]
    bins = _fifths(samples["tokens"])
    correct = samples["correct"].astype("boolean")
    for kind, wanted in ((WRONG, ~correct), (RIGHT, correct)):
        chosen = samples[wanted.fillna(False).astype(bool)]
        for _, inside in chosen.groupby(bins.loc[chosen.index], sort=True):
            values = inside.groupby("problem_id")["score"].mean()
            median = inside["tokens"].median()
            found.append({"kind": kind, "tokens": median, **_mean(values, confidence)})
    return pd.DataFrame(found).assign(**key)[COLUMNS]


def _fifths(tokens: pd.Series) -> pd.Series:
    """Which fifth of the lengths each sample is in; equal lengths stay together."""
    edges = np.unique(np.quantile(tokens, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    return pd.Series(np.searchsorted(edges, tokens, side="left"), index=tokens.index)


def _mean(values: pd.Series, confidence: float) -> dict[str, float]:
    """Mean over problems with Student's t interval; open where one problem says nothing of it."""
    n, mean = len(values), float(values.mean())
    half = np.nan
    if n > 1:
        quantile = stats.t.ppf((1 + confidence) / 2, n - 1)
        half = quantile * float(values.std(ddof=1)) / np.sqrt(n)
    return {"value": mean, "ci_low": mean - half, "ci_high": mean + half, "n_problems": n}


def prm_biases_data(
    cells: list[pd.DataFrame], *, policies: dict[str, float], prms: list[str]
) -> pd.DataFrame:
    """Stack the cells of `cell_biases` in the order of policies and PRMs."""
    data = pd.concat(cells, ignore_index=True) if cells else pd.DataFrame(columns=COLUMNS)
    data = in_order(in_order(data, "prm", prms), "policy", by_size(policies))
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)


@styled
def draw_prm_biases(data: pd.DataFrame) -> Figure:
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
            _lengths(top, here[here["kind"] == CHOSEN], prms)
            for p, prm in enumerate(prms):
                _scores(bottom, here[here["prm"] == prm], *group_look(p))
            n = int(here.loc[here["kind"] == CHOSEN, "n_problems"].max()) if len(here) else 0
            top.set_title(f"{policy} ({n} problems)")
            bottom.set_xlabel("Tokens of the sample")
            if column == 0:
                prefix = f"{dataset}\n" if len(datasets) > 1 else ""
                top.set_ylabel(f"{prefix}Chosen length\n÷ mean length")
                bottom.set_ylabel(f"{prefix}Mean score")
    looks = [group_look(p) for p in range(len(prms))]
    handles = [Line2D([], [], color=color, marker=marker) for color, marker in looks]
    handles += [Line2D([], [], color="#555"), Line2D([], [], color="#555", linestyle="--")]
    place_legend(figure, handles, [*prms, "Wrong samples", "Right samples"])
    return figure


def _lengths(ax: Axes, rows: pd.DataFrame, prms: list[str]) -> None:
    ax.axhline(1, color="#555", linewidth=0.8)
    for row in rows.itertuples():
        place = prms.index(row.prm)
        color, marker = group_look(place)
        ax.plot([place, place], [row.ci_low, row.ci_high], color=color, linewidth=0.9)
        ax.plot(place, row.value, marker, color=color)
    ax.set_xlim(-0.6, len(prms) - 0.4)
    ax.set_xticks([])


def _scores(ax: Axes, rows: pd.DataFrame, color: str, marker: str) -> None:
    for kind, dashes in ((WRONG, "-"), (RIGHT, "--")):
        chosen = rows[rows["kind"] == kind].sort_values("tokens")
        ax.plot(chosen["tokens"], chosen["value"], dashes, color=color, marker=marker)
        ax.fill_between(
            chosen["tokens"],
            chosen["ci_low"],
            chosen["ci_high"],
            color=color,
            alpha=0.12,
            linewidth=0,
        )
    ax.set_ylim(-0.03, 1.03)
