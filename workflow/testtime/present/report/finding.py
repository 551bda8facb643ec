"""The finding in words, with every number read from the tables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from testtime.data.store import read_csv, read_json
from testtime.present.figures.looks import count, look
from testtime.study.study import Study
from testtime.study.vocabulary import ALL, ANY, CHAIN, COT, LEVELS, MAJORITY

SIGNIFICANT = 0.05
TABLES = ("overtaking", "frontier", "accuracy", "compute_optimal")
JUDGED = ("lookup", "outcomes", "accuracy")  # as `Study.paths_of` names them


@dataclass(frozen=True)
class Finding:
    """What a study found.

    Attributes:
        headline: one sentence.
        sentences: the paragraph below it.
        holds: whether a smaller policy with compute-optimal TTS reaches the largest one's CoT on
            every dataset; None if the study cannot tell.
    """

    headline: str
    sentences: tuple[str, ...]
    holds: bool | None


def find(
    tables: Mapping[str, pd.DataFrame], lookup: dict, policies: Mapping[str, float]
) -> Finding:
    """Put a study's main result into words, whether it holds or not.

    Args:
        tables: name -> rows of `tables/NAME.csv`; tables that the study lacks may be missing.
        lookup: content of `lookup.json`.
        policies: parameters of each.
    """
    overtaking = tables.get("overtaking", pd.DataFrame())
    frontier = tables.get("frontier", pd.DataFrame())
    headlines, sentences, verdicts = [], [], []
    if len(overtaking):
        for dataset, pairs in overtaking.groupby("dataset", sort=True):
            headline, more, holds = _overtaking(str(dataset), pairs, policies, frontier)
            headlines.append(headline)
            sentences += more
            verdicts.append(holds)
    else:
        headlines.append(
            "This study compares no small policy with a larger one: that takes two policies of "
            "different size and CoT among the methods."
        )
    sentences += _majority(tables.get("accuracy", pd.DataFrame()), policies)
    sentences += _choices(lookup)
    sentences += _optimism(tables.get("compute_optimal", pd.DataFrame()))
    return Finding(" ".join(headlines), tuple(sentences), all(verdicts) if verdicts else None)


def study_finding(study: Study) -> Finding:
    """The finding of a finished study, from its tables and lookup."""
    paths = {name: Path(study.layout.path("table", table=name)) for name in TABLES}
    tables = {name: read_csv(path) for name, path in paths.items() if path.exists()}
    return find(tables, read_json(study.layout.path("lookup")), study.setting("policies"))


def closing_words(study: Study) -> str:
    """What a finished run says last: the headline of the study and the report's place.

    Empty where there is no report of the tables as they are: a run for other targets than the
    default leaves an old report, or none.
    """
    report = Path(study.layout.path("report"))
    judged = [Path(path) for name in JUDGED for path in study.paths_of(name)]
    if not all(path.exists() for path in (report, *judged)):
        return ""
    if any(path.stat().st_mtime_ns > report.stat().st_mtime_ns for path in judged):
        return ""
    return f"{study_finding(study).headline}\nReport: {report}\n"


def percent(value: float) -> str:
    """A proportion in percent, one digit."""
    return f"{100 * value:.1f} %"


def points(value: float) -> str:
    """A difference of proportions in percentage points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def _overtaking(
    dataset: str, pairs: pd.DataFrame, policies: Mapping[str, float], frontier: pd.DataFrame
) -> tuple[str, list[str], bool]:
    largest = max(pairs["large"], key=lambda name: policies.get(name, 0))
    against = pairs[pairs["large"] == largest].assign(size=lambda rows: rows["small"].map(policies))
    against = against.sort_values(["size", "small"])
    base = (
        f"{largest} ({count(policies[largest])} parameters) answers "
        f"{percent(against['large_accuracy'].iloc[0])} of {int(against['n_problems'].iloc[0])} "
        f"problems of {dataset} by plain chain of thought (CoT)"
    )
    reached = against[against["difference"] >= 0]
    row = (reached if len(reached) else against.sort_values("difference").iloc[::-1]).iloc[0]
    ratio = f"{row['size_ratio']:.1f}".removesuffix(".0")
    budget = f"compute-optimal TTS at N = {int(row['budget'])}"
    if len(reached):
        headline = (
            f"On {dataset}, {row['small']} with {budget} reaches the CoT of {largest}, {ratio} "
            f"times its size: {percent(row['small_accuracy'])} against "
            f"{percent(row['large_accuracy'])}."
        )
    else:
        headline = (
            f"On {dataset}, no smaller policy reaches the CoT of {largest} "
            f"({percent(row['large_accuracy'])}) with compute-optimal TTS; the closest is "
            f"{row['small']} with {percent(row['small_accuracy'])} at N = {int(row['budget'])}."
        )
    more = [f"{base}.", _paired(row, len(pairs)), *_compute(dataset, row, frontier)]
    return headline, more, bool(len(reached))


def _compute(dataset: str, row: pd.Series, frontier: pd.DataFrame) -> Iterator[str]:
    """What the comparison leaves out: the compute that each side spends on a problem."""
    if frontier.empty:
        return
    here = frontier[frontier["dataset"] == dataset]
    cot = here[(here["policy"] == row["large"]) & (here["setting"] == CHAIN)]
    tts = here[(here["policy"] == row["small"]) & (here["setting"] != CHAIN)]
    tts = tts[(tts["prm"] == ANY) & (tts["budget"] == row["budget"])]
    flops = [*cot["flops"], *tts["flops"]]
    if len(flops) == 2 and all(value > 0 for value in flops):
        yield (
            f"{row['small']} then spends {flops[1] / flops[0]:,.3g} times the FLOPs of that CoT "
            "on a problem, the PRM's included."
        )


def _paired(row: pd.Series, comparisons: int) -> str:
    ends = f"[{points(row['ci_low'])}, {points(row['ci_high'])}]"
    side = "above" if row["difference"] >= 0 else "below"
    text = (
        f"On the same problems {row['small']} is {abs(100 * row['difference']):.1f} points {side} "
        f"it {ends}, its strategies chosen on other problems than those they are judged on"
    )
    p = f"p = {row['p_adjusted']:.2g}, adjusted for {comparisons} comparisons"
    if comparisons == 1:
        p = f"p = {row['p_adjusted']:.2g}"
    if row["p_adjusted"] < SIGNIFICANT:
        return f"{text}; chance alone hardly explains that ({p})."
    return f"{text}; these problems are too few to tell that from chance ({p})."


def _majority(accuracy: pd.DataFrame, policies: Mapping[str, float]) -> Iterator[str]:
    """How many policies gain from majority voting, at the largest budget of each dataset."""
    if accuracy.empty:
        return
    rows = accuracy[accuracy["difficulty"] == ALL]
    for dataset, here in rows.groupby("dataset", sort=True):
        cot = here[here["method"] == COT].set_index("policy")["accuracy"]
        voted = here[here["method"] == MAJORITY]
        if cot.empty or voted.empty:
            continue
        budget = voted["budget"].max()
        best = voted[voted["budget"] == budget].set_index("policy")["accuracy"]
        both = [policy for policy in policies if policy in cot and policy in best]
        above = [policy for policy in both if best[policy] > cot[policy]]
        parts = ", ".join(f"{p} {percent(best[p])} after {percent(cot[p])}" for p in both)
        yield (
            f"Majority voting over N = {int(budget)} samples of {dataset} is above CoT for "
            f"{len(above)} of {len(both)} policies ({parts})."
        )


def _choices(lookup: dict) -> Iterator[str]:
    """The distribution of chosen methods over the contexts: whether one fits all."""
    contexts = [
        entry
        for entry in lookup.get("contexts", [])
        if entry["prm"] == ANY and entry["difficulty"] in LEVELS
    ]
    contexts = [entry for entry in contexts if entry["support"]["n_problems"]]
    if not contexts:
        return
    tally = pd.Series([entry["strategy"]["method"] for entry in contexts]).value_counts()
    order = sorted(tally.index, key=lambda method: (-tally[method], method))
    spread = ", ".join(f"{look(method).label} in {tally[method]}" for method in order)
    if len(order) == 1:
        yield f"One method is the choice in all {len(contexts)} contexts: {spread}."
    else:
        yield (
            f"No method is best everywhere: of {len(contexts)} contexts (policy, budget, "
            f"difficulty) the lookup chooses {spread}."
        )


def _optimism(compute_optimal: pd.DataFrame) -> Iterator[str]:
    if compute_optimal.empty:
        return
    rows = compute_optimal[compute_optimal["prm"] == ANY]
    if rows.empty:
        return
    worst = rows.loc[rows["optimism"].idxmax()]
    yield (
        "Choosing and judging on the same problems would have overstated these accuracies by "
        f"{100 * rows['optimism'].mean():.1f} points on average, and by "
        f"{100 * worst['optimism']:.1f} for {worst['policy']} at N = {int(worst['budget'])}."
    )
