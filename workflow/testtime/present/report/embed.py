"""Tables as the report embeds them: plain values that a page can sort and filter."""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from testtime.present.figures.data import read_csv

MOST_ROWS = 20_000  # more would make the page slow; the file beside it has them all
LARGEST_WRITTEN_OUT = 1e7  # FLOPs read better as powers of ten
MOST_CHOICES = 40  # a column of few distinct values gets a list to choose from

DESCRIPTIONS = {
    "overtaking": "Smaller policies' compute-optimal TTS against larger ones' CoT, on the same "
    "problems; p-values adjusted for the number of comparisons.",
    "frontier": "CoT and compute-optimal TTS of every policy, with costs and published values.",
    "gains": "Gain over CoT, and how much less budget than majority voting is needed.",
    "flops": "Compute behind CoT and behind compute-optimal TTS.",
    "accuracy": "Every strategy at every budget, over all problems and by difficulty.",
    "compute_optimal": "Compute-optimal TTS per policy, PRM and budget, cross-fitted and not.",
    "by_cost": "Compute-optimal TTS over generated tokens, FLOPs or seconds per problem in place "
    "of N; seconds follow from the tokens at the catalog's rates.",
    "choices": "The chosen strategy per context and difficulty.",
    "binnings": "What knowing a problem's difficulty is worth.",
    "transfer": "Strategies chosen on the other policies and used on this one.",
    "calibration": "Predicted against observed difficulty.",
    "voting": "Every scoring and vote, and the paired gain over majority voting.",
    "pass_at_k": "Share of problems with at least one right answer among k samples.",
    "grade_disagreements": "Answers on which math-verify, called plainly, says otherwise, or which "
    "could not be decided: for a person to look at.",
    "prm_quality": "How well each PRM tells right steps from wrong ones.",
    "prm_bias": "Mean score of right and of wrong samples by length.",
    "prm_length": "Length of what each PRM chooses.",
    "unscored": "Paths that are longer than a PRM's context: they are scored by the steps that it "
    "could read, and score 0 where it could read none.",
}
PERCENT = {
    "accuracy", "ci_low", "ci_high", "in_sample_accuracy", "optimism", "pass_at_k", "difference",
    "small_accuracy", "large_accuracy", "gain", "gain_low", "gain_high", "cot", "majority",
    "compute_optimal", "performance_gain", "performance_low", "performance_high", "published",
    "published_performance", "agreement", "wrong_steps",
    "own_accuracy", "lost", "lost_low", "lost_high", "predicted", "observed", "mean_error",
    "level_agreement",
}  # fmt: skip
START = {"accuracy": {"difficulty": "all"}}  # filters that are set when the page opens


@dataclass(frozen=True)
class Embedded:
    """A table in the page.

    Attributes:
        columns: of each its name, kind ("text", "percent", "int" or "number") and whether the page
            offers a list of its values.
        rows: plain values, None where missing.
        total: rows of the file; more than `rows` where it is too long for a page.
    """

    name: str
    description: str
    columns: list[dict]
    rows: list[list]
    total: int
    start: dict[str, str]


def embed(path: Path) -> Embedded | None:
    """Read a CSV for the page; None where it has no rows."""
    table = read_csv(path)
    if table.empty:
        return None
    name, total = path.stem, len(table)
    if total > MOST_ROWS and "difficulty" in table:
        table = table[table["difficulty"] == "all"]
    table = table.head(MOST_ROWS)
    columns = [_column(str(column), table[column]) for column in table]
    rows = [[_plain(value) for value in row] for row in table.itertuples(index=False, name=None)]
    start = {c: v for c, v in START.get(name, {}).items() if c in table}
    return Embedded(name, DESCRIPTIONS.get(name, ""), columns, rows, total, start)


def _column(name: str, values: pd.Series) -> dict:
    known = values.dropna()
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        kind = "text"
    elif name in PERCENT:
        kind = "percent"
    else:
        whole = (known == known.round()).all() and known.abs().max() < LARGEST_WRITTEN_OUT
        kind = "int" if whole else "number"
    choices = known.nunique()
    few = kind in ("text", "int") and 1 < choices <= MOST_CHOICES
    measured = kind == "int" and name not in ("budget", "k")
    return {"name": name, "kind": kind, "choose": bool(few and not measured)}


def _plain(value: object) -> object:
    if hasattr(value, "item"):
        value = value.item()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value
