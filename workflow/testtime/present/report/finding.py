"""The finding in words, with every number read from the tables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from testtime.data.store import read_csv, read_json
from testtime.present.figures.looks import count, look
from testtime.study.study import Study
from testtime.study.vocabulary import (
    ALL,
    ANY,
    BELOW,
    COT,
    LEVEL,
    LEVELS,
    MAJORITY,
    NOT_WORSE,
    PASSES,
)

LEAST_P = 1e-6  # smaller ones are not told apart
TABLES = ("overtaking", "equal_flops", "thresholds", "accuracy", "compute_optimal")
TABLES += ("binnings", "transfer")
JUDGED = ("lookup", "outcomes", "accuracy")  # as `Study.paths_of` names them


@dataclass(frozen=True)
class Finding:
    """What a study found.

    Attributes:
        headline: one sentence.
        paragraphs: below it, each of sentences: the comparison and its compute; what speaks against
            it; what else the study shows.
        holds: whether a smaller policy with compute-optimal TTS passes the CoT that the study's
            claim names; None if it compares none.
    """

    headline: str
    paragraphs: tuple[tuple[str, ...], ...]
    holds: bool | None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Of all paragraphs."""
        return tuple(sentence for paragraph in self.paragraphs for sentence in paragraph)


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
    compared: list[str] = []
    against: list[str] = []
    primary = overtaking[overtaking["primary"].astype(bool)] if len(overtaking) else overtaking
    if len(primary):
        row = _named(primary, policies)
        headline, holds = _headline(row, policies), row["verdict"] == PASSES
        compared = [*_paired(row, len(primary)), *_compute(row, tables, policies)]
        against = [*_alone(overtaking, row), *_against(row, tables)]
    else:
        headline, holds = (
            "This study compares no small policy with the larger one of its claim: that takes two "
            "policies of different size and CoT among the methods.",
            None,
        )
    besides = [
        *_majority(tables.get("accuracy", pd.DataFrame()), policies),
        *_choices(lookup),
        *_optimism(tables.get("compute_optimal", pd.DataFrame())),
    ]
    paragraphs = tuple(tuple(part) for part in (compared, against, besides) if part)
    return Finding(headline, paragraphs, None if holds is None else bool(holds))


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


def _named(primary: pd.DataFrame, policies: Mapping[str, float]) -> pd.Series:
    """The comparison to name: the smallest policy of the best verdict, else the closest one."""
    ordered = primary.assign(size=primary["small"].map(policies)).sort_values(["size", "small"])
    for verdict in (PASSES, NOT_WORSE):
        found = ordered[ordered["verdict"] == verdict]
        if len(found):
            return found.iloc[0]
    return ordered.loc[ordered["difference"].idxmax()]


def _headline(row: pd.Series, policies: Mapping[str, float]) -> str:
    where = "all datasets together" if row["dataset"] == ALL else row["dataset"]
    ratio = f"{row['size_ratio']:.1f}".removesuffix(".0")
    small = f"{row['small']} with compute-optimal TTS at N up to {int(row['budget'])}"
    large = f"the CoT of {row['large']}, {ratio} times its size"
    both = f"{percent(row['small_accuracy'])} against {percent(row['large_accuracy'])}"
    both += f" of {int(row['n_problems'])} problems"
    if row["verdict"] == PASSES:
        return f"On {where}, {small} passes {large}: {both}."
    if row["verdict"] == NOT_WORSE:
        return f"On {where}, {small} is not worse than {large}, within the margin: {both}."
    said = "falls short of" if row["verdict"] == BELOW else "cannot be told from"
    return (
        f"On {where}, no smaller policy is shown to pass the CoT of {row['large']} "
        f"({count(policies[row['large']])} parameters); the closest, {small}, {said} it: {both}."
    )


def _compute(
    row: pd.Series, tables: Mapping[str, pd.DataFrame], policies: Mapping[str, float]
) -> Iterator[str]:
    """What the comparison leaves out: the compute that each side spends on a problem."""
    spent, chain = row["small_flops"], row["large_flops"]
    if not (spent > 0 and chain > 0):
        return
    yield (
        f"{row['small']} then spends {spent / chain:,.3g} times the FLOPs of that CoT on a "
        "problem, the PRM's included."
    )
    equal = tables.get("equal_flops")
    if equal is None:
        return
    equal = equal[(equal["large"] == row["large"]) & (equal["dataset"] == row["dataset"])]
    if equal.empty:
        yield "Nothing that a smaller policy can do is as cheap as that CoT."
        return
    named = _named(equal, policies)
    ratio = f"{named['size_ratio']:.1f}".removesuffix(".0")
    small = f"{named['small']}, {ratio} times smaller,"
    both = f"{percent(named['small_accuracy'])} against {percent(named['large_accuracy'])}"
    both += f", a difference of {_interval(named)}, p {_p_value(named['p_adjusted'])}"
    if named["verdict"] == PASSES:
        yield f"With no more FLOPs than that CoT takes, {small} passes it too: {both}."
    elif named["verdict"] == NOT_WORSE:
        yield f"With no more FLOPs than that CoT takes, {small} is not worse: {both}."
    else:
        yield (
            "With no more FLOPs than that CoT takes, no smaller policy is shown to pass it; the "
            f"closest, {small} {named['verdict']} it: {both}."
        )


def _interval(row: pd.Series) -> str:
    ends = f"[{points(row['ci_low'])}, {points(row['ci_high'])}]"
    return f"{points(row['difference'])} points {ends}"


def _paired(row: pd.Series, comparisons: int) -> Iterator[str]:
    p = f"p {_p_value(row['p_adjusted'])}"
    if comparisons > 1:
        p += f", adjusted for {comparisons} primary comparisons"
    yield (
        f"The difference on the same problems is {_interval(row)}, {p}, "
        "with strategies chosen on other problems than those they are judged on; such a "
        f"comparison shows a difference of {100 * row['detectable']:.1f} points in 8 of 10 studies."
    )
    if pd.notna(row["run_sd"]):
        yield (
            "The interval is over problems; other samples on the same problems would change the "
            f"difference by {100 * row['run_sd']:.1f} points (standard deviation over runs)."
        )


def _p_value(value: float) -> str:
    return f"= {value:.2g}" if value >= LEAST_P else f"below {LEAST_P:g}"


def _alone(overtaking: pd.DataFrame, row: pd.Series) -> Iterator[str]:
    """The same pair on each dataset alone, where the primary comparison takes them together."""
    pair = (overtaking["small"] == row["small"]) & (overtaking["large"] == row["large"])
    others = overtaking[pair & (overtaking["dataset"] != row["dataset"])]
    if len(others):
        parts = ", ".join(
            f"{other['dataset']} {points(other['difference'])} "
            f"[{points(other['ci_low'])}, {points(other['ci_high'])}]"
            for other in others.to_dict("records")
        )
        yield f"On the datasets alone, which is exploratory, the differences are: {parts}."


def _against(row: pd.Series, tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """What speaks against choosing by level, and for how much the choice has seen."""
    yield from _thresholds(row, tables.get("thresholds", pd.DataFrame()))
    binnings = tables.get("binnings", pd.DataFrame())
    if binnings.empty:
        return
    free = binnings[binnings["prm"] == ANY]
    here = free[(free["policy"] == row["small"]) & (free["budget"] == row["budget"])]
    here = here[here["dataset"] == row["dataset"]] if row["dataset"] != ALL else here.iloc[:0]
    accuracy = here.set_index("binning")["accuracy"]
    if ALL in accuracy and LEVEL in accuracy:
        level = here[here["binning"] == LEVEL].iloc[0]
        yield (
            f"With one strategy for all problems it would reach {percent(accuracy[ALL])}, with one "
            f"per level of difficulty {percent(accuracy[LEVEL])} ({points(level['gain'])} points "
            f"[{points(level['gain_low'])}, {points(level['gain_high'])}]); which of the two ways "
            "it is was decided on other problems too."
        )
    by_level = free[free["binning"] == LEVEL]
    if len(by_level):
        better, worse = (by_level["gain_low"] > 0).sum(), (by_level["gain_high"] < 0).sum()
        yield (
            f"Over all {len(by_level)} contexts (policy, N), choosing by level is better in "
            f"{better} and worse in {worse} than one strategy for all, the others cannot be told."
        )
    if "predicted_level" in accuracy:
        yield (
            "Levels come from held-out samples graded with the right answers; with levels that are "
            f"predicted without them it reaches {percent(accuracy['predicted_level'])}."
        )
    transfer = tables.get("transfer", pd.DataFrame())
    if len(transfer):
        same = transfer[(transfer["policy"] == row["small"]) & (transfer["prm"] == ANY)]
        same = same[(same["budget"] == row["budget"]) & (same["dataset"] == row["dataset"])]
        for other in same.to_dict("records"):
            yield (
                f"With strategies that were chosen on the other policies it reaches "
                f"{percent(other['accuracy'])}."
            )


def _thresholds(row: pd.Series, table: pd.DataFrame) -> Iterator[str]:
    """Whether the verdict hangs on where the levels begin."""
    if table.empty:
        return
    same = table[(table["small"] == row["small"]) & (table["large"] == row["large"])]
    moved = same[same["n_moved"] > 0]
    if moved.empty:
        return
    counts = " and ".join(str(int(n)) for n in moved["n_moved"])
    reached = " and ".join(percent(value) for value in moved["small_accuracy"])
    other = sorted(set(moved["verdict"]) - {row["verdict"]})
    stays = "the verdict stays" if not other else f"the verdict becomes: {', '.join(other)}"
    yield (
        "With the levels' thresholds a standard error of Pass@1 lower or higher, which moves "
        f"{counts} of {int(row['n_problems'])} problems to another level, {row['small']} reaches "
        f"{reached}; {stays}."
    )


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
