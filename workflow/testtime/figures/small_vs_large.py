"""Small policies with compute-optimal TTS against larger policies' CoT, per dataset."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from testtime.figures.data import INTERVAL, by_size, fitted, in_order, unique
from testtime.figures.style import (
    count,
    error_bars,
    look,
    nothing,
    panels,
    percent_axis,
    place_legend,
    styled,
)

CONTEXT = "any"  # the PRM is part of the choice
COLUMNS = ["dataset", "policy", "method", "budget", *INTERVAL, "n_problems", "source"]
OURS = "this study"


def small_vs_large_data(
    accuracy: pd.DataFrame,
    compute_optimal: pd.DataFrame,
    *,
    policies: dict[str, float],
    models: dict[str, str] | None = None,
    published: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """CoT of every policy and its cross-fitted compute-optimal accuracy at every budget.

    Args:
        accuracy: rows of `accuracy.csv`.
        compute_optimal: rows of `compute_optimal.csv`.
        policies: parameters of each.
        models: hub id of each, to find its published values.
        published: dataset, model, method, accuracy, source; drawn apart, never mixed with ours.

    Returns:
        dataset, policy, method (cot or compute_optimal), budget, accuracy, ci_low, ci_high,
        n_problems, source ("this study", or where it was published), parameters.
    """
    cot = accuracy[(accuracy["method"] == "cot") & (accuracy["difficulty"] == "all")]
    best = fitted(compute_optimal)
    best = best[best["prm"] == CONTEXT].assign(method="compute_optimal")
    sizes = accuracy.groupby("dataset")["n_problems"].max()
    ours = pd.concat([cot, best], ignore_index=True).assign(source=OURS)
    ours["n_problems"] = ours["dataset"].map(sizes)
    theirs = published_rows(published, models or {}, unique(ours, "dataset"))
    data = pd.concat([frame[COLUMNS] for frame in (ours, theirs) if len(frame)])
    data["parameters"] = data["policy"].map(policies)
    data = data.sort_values(["method", "budget"], ascending=[False, True], kind="stable")
    data = in_order(data, "policy", by_size(policies))
    return data.sort_values("dataset", kind="stable").reset_index(drop=True)


def published_rows(
    published: pd.DataFrame | None, models: dict[str, str], datasets: list[str]
) -> pd.DataFrame:
    """Published values of the same models (by the hub id's last part) on the same datasets."""
    if published is None:
        return pd.DataFrame(columns=COLUMNS)
    names = {model.rsplit("/", 1)[-1].casefold(): policy for policy, model in models.items()}
    rows = published.assign(policy=published["model"].str.casefold().map(names))
    wanted = rows["dataset"].isin(datasets) & rows["method"].isin(["cot", "compute_optimal"])
    rows = rows[wanted & rows["policy"].notna()]
    return rows.assign(budget=pd.NA, ci_low=pd.NA, ci_high=pd.NA, n_problems=pd.NA)


@styled
def draw_small_vs_large(data: pd.DataFrame) -> Figure:
    """Grouped bars per policy, small to large; a line at the largest policy's CoT."""
    ours = data[data["source"] == OURS]
    if ours.empty:
        return nothing("neither CoT nor compute-optimal accuracy was computed")
    datasets, policies = unique(data, "dataset"), unique(ours, "policy")
    budgets = sorted(int(n) for n in ours.loc[ours["method"] != "cot", "budget"].unique())
    # The method's colour at full strength is the largest budget.
    shades = sns.light_palette(look("compute_optimal").color, len(budgets) + 2)[2:]
    bars = [("cot", 1, look("cot").color)]
    bars += [("compute_optimal", n, shade) for n, shade in zip(budgets, shades, strict=True)]
    width = max(3.4, 0.2 * len(bars) * len(policies))
    figure, axes = panels(len(datasets), 1, size=(width, 2.1), sharex=True)
    for ax, dataset in zip(axes[:, 0], datasets, strict=True):
        here = ours[ours["dataset"] == dataset]
        for i, (method, budget, color) in enumerate(bars):
            for x, policy in enumerate(policies):
                chosen = here[
                    (here["policy"] == policy)
                    & (here["method"] == method)
                    & ((here["budget"] == budget) | (method == "cot"))
                ]
                if chosen.empty:
                    continue
                place = x + (i - (len(bars) - 1) / 2) * 0.84 / len(bars)
                ax.bar(place, chosen["accuracy"], 0.8 / len(bars), color=color, zorder=2)
                error_bars(ax, [place], chosen, ecolor="#333333", zorder=3)
        _published(ax, data[(data["dataset"] == dataset) & (data["source"] != OURS)], policies)
        _reference(ax, here, policies[-1])
        percent_axis(ax, f"{dataset}\nAccuracy (%)")
        ax.set_ylim(0, min(1.0, ax.get_ylim()[1]))
        ax.grid(visible=False, axis="x")
        ax.set_title(f"{int(here['n_problems'].max())} problems", fontsize=7, loc="right")
    parameters = ours.drop_duplicates("policy").set_index("policy")["parameters"]
    labels = [f"{policy}\n{count(parameters[policy])}" for policy in policies]
    crowded = len(policies) > 6
    axes[-1, 0].set_xticks(
        range(len(policies)),
        labels,
        rotation=30 if crowded else 0,
        ha="right" if crowded else "center",
    )
    handles = [Patch(color=color) for _, _, color in bars]
    names = ["CoT"] + [f"Compute-optimal, N = {n}" for n in budgets]
    handles.append(Line2D([], [], color=look("cot").color, linestyle=":"))
    names.append(f"CoT of {policies[-1]}")
    if len(ours) < len(data):
        handles += [_marker("d", "white"), _marker("d", "black")]
        names += ["Published, CoT", "Published, compute-optimal"]
    place_legend(figure, handles, names)
    return figure


def _marker(marker: str, face: str) -> Line2D:
    return Line2D(
        [], [], marker=marker, linestyle="", markerfacecolor=face, markeredgecolor="black"
    )


def _published(ax: Axes, rows: pd.DataFrame, policies: list[str]) -> None:
    for row in rows.itertuples():
        face, shift = ("white", -0.45) if row.method == "cot" else ("black", 0.45)
        ax.plot(
            policies.index(row.policy) + shift,
            row.accuracy,
            marker="d",
            markerfacecolor=face,
            markeredgecolor="black",
            zorder=4,
        )


def _reference(ax: Axes, here: pd.DataFrame, largest: str) -> None:
    cot = here[(here["policy"] == largest) & (here["method"] == "cot")]
    if len(cot):
        ax.axhline(cot["accuracy"].iloc[0], color=look("cot").color, linestyle=":", zorder=2.5)
