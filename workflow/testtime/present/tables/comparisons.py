"""Comparisons between policies: the paper's tables in this study's own numbers."""

from testtime.compare.frontier import flops_table, frontier_table
from testtime.compare.gains import gains_table
from testtime.compare.overtaking import (
    Claim,
    equal_flops_table,
    overtaking_table,
    thresholds_table,
)
from testtime.data.samples import read_cells
from testtime.data.store import read_parquet
from testtime.fit.cells import Settings
from testtime.fit.select import fit_study
from testtime.present.registry import Tables
from testtime.study.catalog import PolicySpec
from testtime.study.vocabulary import CHOSEN

TABLES = Tables(
    "compare",
    tables={
        "overtaking": "Smaller policies' compute-optimal TTS against larger ones' CoT, on the same "
        "problems; the primary comparisons are those that the config names (claim), p-values are "
        "adjusted for the number of comparisons, primary and other ones apart.",
        "equal_flops": "The same with no more FLOPs than the larger policy's CoT takes.",
        "thresholds": "The primary comparisons with both thresholds of the levels moved by a "
        "standard error of Pass@1.",
        "frontier": "CoT and compute-optimal TTS of every policy, with costs and published values.",
        "gains": "Gain over CoT, and how much less budget than majority voting is needed.",
        "flops": "Compute of CoT and of compute-optimal TTS.",
    },
    inputs=("outcomes", "difficulty", "published"),
    settings=("fit", "evaluate", "seed", "policies", "pretraining", "claim", "thresholds"),
    needs=("cot",),
    heavy=True,
)


def make(inputs: dict, settings: dict) -> dict:
    """All from one cross-fit, by difficulty level where that pays."""
    outcomes, difficulty = read_parquet(*inputs["outcomes"]), read_cells(inputs["difficulty"])
    of_fit, claim = Settings.of_study(settings), Claim(**settings["claim"])
    fits = fit_study(outcomes, difficulty, of_fit, binning=CHOSEN)
    policies = {
        name: PolicySpec(name, size, pretraining_tokens=settings["pretraining"][name])
        for name, size in settings["policies"].items()
    }
    return {
        "overtaking": overtaking_table(fits, outcomes, policies, of_fit, claim),
        "equal_flops": equal_flops_table(outcomes, difficulty, policies, of_fit, claim),
        "thresholds": thresholds_table(
            outcomes, difficulty, policies, of_fit, claim, settings["thresholds"]
        ),
        "frontier": frontier_table(fits, outcomes, policies, of_fit),
        "gains": gains_table(fits, outcomes, of_fit),
        "flops": flops_table(fits, outcomes, policies, of_fit),
    }
