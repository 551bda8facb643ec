"""Small policies with compute-optimal TTS against larger policies' CoT, per dataset."""

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from testtime.compare.published import published_accuracy, read_published
from testtime.present.figures.looks import count, look
from testtime.present.figures.parts import error_bars, percent_axis
from testtime.present.figures.rows import as_in_study, unique
from testtime.present.figures.style import nothing, panels, place_legend
from testtime.present.registry import Figure
from testtime.study.vocabulary import ANY, CELL, CHAIN, INTERVAL, TTS

FIGURE = Figure(
    title="Small policies with compute-optimal TTS against large policies' CoT",
    see="Whether a coloured bar of a smaller policy reaches the dotted line, the plain chain of "
    "thought (CoT) of the largest policy. Policies are ordered by size; the stronger the "
    "colour, the larger the budget N.",
    computed="CoT is one sample, greedy, or drawn where the policy's entry says so (then a mean "
    "over several). Compute-optimal TTS picks, for each budget and, where that pays, each "
    "difficulty level, the best strategy with any of the study's PRMs; it is picked on other "
    "problems than those it is judged on (cross-fitting), so its accuracy is not flattered by "
    "the choice. Lines on the bars are intervals over problems. Diamonds, where there are "
    "any, are published values of the same models (Liu et al., 2025): another run on other "
    "machines, for comparison only. The table *overtaking*, which compares on the same "
    "problems, says whether the differences are more than chance.",
    inputs=("frontier",),
    settings=("policies",),
    needs=("two_policies", "cot"),
)

OURS, PUBLISHED = "this study", "published"
PALE = (0.948, 0.942, 0.945)  # the light end of the shades of the budgets
COLUMNS = [*CELL, "setting", "budget", "accuracy", *INTERVAL, "n_problems", "source"]


def data(*, frontier: pd.DataFrame, policies: dict[str, float]) -> pd.DataFrame:
    """CoT of every policy, and its cross-fitted compute-optimal accuracy at every budget.

    Published values of the same models on the same datasets are kept apart by `source`.

    Args:
        frontier: rows of `frontier.csv`.
        policies: parameters of each.

    Returns:
        dataset, policy, setting ("CoT" or "compute-optimal TTS"), budget, accuracy, ci_low,
        ci_high, n_problems, source ("this study" or "published"), parameters.
    """
    ours = frontier[(frontier["setting"] == CHAIN) | (frontier["prm"] == ANY)].assign(source=OURS)
    published = published_points()
    known = published["dataset"].isin(ours["dataset"]) & published["policy"].isin(policies)
    theirs = published[known].rename(columns={"published": "accuracy"})
    frames = [ours, theirs.assign(source=PUBLISHED)] if len(theirs) else [ours]
    rows = pd.concat([frame.reindex(columns=COLUMNS) for frame in frames], ignore_index=True)
    rows["parameters"] = rows["policy"].map(policies)
    rows = rows.sort_values(["source", "setting", "budget"], ascending=[False, True, True])
    return as_in_study(rows, policies=policies)


def published_points() -> pd.DataFrame:
    """Accuracies of the reproduced study's tables 3, 5 and 6 by the catalog's policy names.

    Returns:
        policy, setting, dataset, published (a proportion); one row each, from the first table that
        has it.
    """
    tables = [published_accuracy("table3_frontier"), published_accuracy("table6_long_cot")]
    gains = read_published("table5_gains").rename(columns={"cot": CHAIN, "compute_optimal": TTS})
    gains = gains.melt(["policy"], [CHAIN, TTS], var_name="setting", value_name="published")
    gains["published"] = gains["published"].astype(float) / 100
    tables.insert(1, gains.assign(dataset="math500"))  # the dataset of that table
    keys = ["policy", "setting", "dataset"]
    rows = pd.concat([table[[*keys, "published"]] for table in tables], ignore_index=True)
    return rows[rows["policy"] != ""].drop_duplicates(keys)


def draw(data: pd.DataFrame) -> matplotlib.figure.Figure:
    """Grouped bars per policy, small to large; a line at the largest policy's CoT."""
    ours = data[data["source"] == OURS]
    if ours.empty:
        return nothing("neither CoT nor compute-optimal accuracy was computed")
    datasets, policies = unique(data, "dataset"), unique(ours, "policy")
    budgets = sorted(int(n) for n in ours.loc[ours["setting"] == TTS, "budget"].unique())
    # The method's colour at full strength is the largest budget.
    ramp = LinearSegmentedColormap.from_list("budgets", [PALE, look("compute_optimal").color])
    shades = ramp(np.linspace(0, 1, len(budgets) + 2))[2:, :3].tolist()
    bars = [(CHAIN, 1, look("cot").color)]
    bars += [(TTS, n, shade) for n, shade in zip(budgets, shades, strict=True)]
    width = max(3.4, 0.2 * len(bars) * len(policies))
    figure, axes = panels(len(datasets), 1, size=(width, 2.1), sharex=True)
    for ax, dataset in zip(axes[:, 0], datasets, strict=True):
        here = ours[ours["dataset"] == dataset]
        _bars(ax, here, policies, bars)
        _published(ax, data[(data["dataset"] == dataset) & (data["source"] != OURS)], policies)
        largest = here[(here["policy"] == policies[-1]) & (here["setting"] == CHAIN)]
        for level in largest["accuracy"]:
            ax.axhline(level, color=look("cot").color, linestyle=":", zorder=2.5)
        percent_axis(ax, f"{dataset}\nAccuracy (%)")
        ax.set_ylim(0, min(1.0, ax.get_ylim()[1]))
        ax.grid(visible=False, axis="x")
        ax.set_title(f"{int(here['n_problems'].max())} problems", fontsize=7, loc="right")
    _name_policies(axes[-1, 0], ours, policies, bars)
    handles = [Patch(color=color) for _, _, color in bars]
    names = ["CoT"] + [f"Compute-optimal, N = {n}" for n in budgets]
    handles.append(Line2D([], [], color=look("cot").color, linestyle=":"))
    names.append(f"CoT of {policies[-1]}")
    if len(ours) < len(data):
        handles += [_diamond("white"), _diamond("black")]
        names += ["Published, CoT", "Published, compute-optimal"]
    place_legend(figure, handles, names)
    return figure


def _bars(ax: Axes, here: pd.DataFrame, policies: list[str], bars: list[tuple]) -> None:
    for i, (setting, budget, color) in enumerate(bars):
        chosen = here[(here["setting"] == setting) & (here["budget"] == budget)]
        if chosen.empty:
            continue
        places = [policies.index(policy) + _shift(i, bars) for policy in chosen["policy"]]
        ax.bar(places, chosen["accuracy"], 0.8 / len(bars), color=color, zorder=2)
        error_bars(ax, places, chosen, ecolor="#333333", zorder=3)


def _shift(i: int, bars: list[tuple]) -> float:
    """Where a bar stands beside the middle of its policy."""
    return (i - (len(bars) - 1) / 2) * 0.84 / len(bars)


def _published(ax: Axes, rows: pd.DataFrame, policies: list[str]) -> None:
    for row in rows.itertuples():
        face, shift = ("white", -0.46) if row.setting == CHAIN else ("black", 0.46)
        marker = _diamond(face)
        marker.set_data([policies.index(row.policy) + shift], [row.accuracy])
        marker.set_zorder(4)
        ax.add_line(marker)


def _diamond(face: str) -> Line2D:
    return Line2D([], [], marker="d", linestyle="", mfc=face, mec="black", mew=0.7)


def _name_policies(ax: Axes, ours: pd.DataFrame, policies: list[str], bars: list[tuple]) -> None:
    parameters = ours.drop_duplicates("policy").set_index("policy")["parameters"]
    labels = [f"{policy}\n{count(parameters[policy])}" for policy in policies]
    tilt = {"rotation": 30, "ha": "right"} if len(policies) > 6 else {}
    # A policy that has CoT alone is named below that bar.
    alone = ours.groupby("policy")["setting"].agg(lambda settings: set(settings) == {CHAIN})
    places = [i + alone[policy] * _shift(0, bars) for i, policy in enumerate(policies)]
    ax.set_xticks(places, labels, **tilt)
