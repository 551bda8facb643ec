"""Table 2: the effect of the scoring of paths and of the vote over answers."""

import pandas as pd

from testtime.evaluate.statistics import accuracy_interval, paired_difference
from testtime.fit.cells import Cell, Settings, spending_cells, with_whole_thoughts
from testtime.study.vocabulary import MAJORITY, NONE, STRATEGY


def voting_ablation(outcomes: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Accuracy of every scoring and vote of every method, and its gain over majority voting.

    Returns:
        Columns dataset, policy, prm, method, scoring, vote, budget, n_problems, accuracy, ci_low,
        ci_high, gain, gain_low, gain_high. The gain is the paired difference from majority voting
        at the same budget, NaN if the study has none; its intervals are each at the study's
        confidence, not adjusted for their number.
    """
    tables = [_ablate(cell, settings) for cell in spending_cells(outcomes)]
    return pd.concat(tables, ignore_index=True)


def _ablate(cell: Cell, settings: Settings) -> pd.DataFrame:
    cell = with_whole_thoughts(cell)
    cell = cell.take((cell.strategies["vote"] != NONE).to_numpy())
    rows = cell.strategies[STRATEGY].copy()
    rows.insert(0, "policy", cell.policy)
    rows.insert(0, "dataset", cell.dataset)
    rows["n_problems"] = len(cell.problem_ids)
    rows["accuracy"] = cell.correct.mean(axis=0)
    rows["ci_low"], rows["ci_high"] = accuracy_interval(cell.correct, settings.confidence)
    majority = rows[rows["method"] == MAJORITY]
    column = dict(zip(majority["budget"], majority.index, strict=True))
    known = rows["budget"].map(column).dropna().astype(int)
    gains = cell.correct[:, known.index] - cell.correct[:, known]
    found = [paired_difference(gain, settings.confidence) for gain in gains.T]
    for name, part in (("gain", "mean"), ("gain_low", "low"), ("gain_high", "high")):
        rows[name] = pd.Series([getattr(f, part) for f in found], known.index, dtype=float)
    return rows.sort_values(["budget", *STRATEGY[:4]])
