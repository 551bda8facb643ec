"""What thinking longer is worth: accuracy over samples N and thinking tokens T, and gains in T."""

from collections.abc import Iterator

import pandas as pd

from testtime.evaluate.statistics import accuracy_interval, paired_difference
from testtime.evaluate.tables import accuracy_table
from testtime.fit.cells import Cell, Settings, bins_of, read_cells
from testtime.study.vocabulary import ALL, CELL, INTERVAL, LEVEL, POOL, STRATEGY

PAYS, HURTS, UNCLEAR = "pays", "hurts", "cannot be told"
WAY = [name for name in STRATEGY if name != "thinking"]
GAINS = [*CELL, *WAY, "difficulty", "thinking", "longer", "n_problems", "gain", *INTERVAL]
GAINS += ["more_tokens", "verdict"]
FORCED = [*CELL, "thinking", "n_problems", "cut", "forced_accuracy", "own_accuracy", "accuracy"]
FORCED += [*INTERVAL, "unforced", "unforced_low", "unforced_high"]


def thinking_table(
    outcomes: pd.DataFrame, difficulty: pd.DataFrame, settings: Settings
) -> pd.DataFrame:
    """Accuracy of every strategy at every thinking budget: `tables/thinking.csv`.

    Args:
        outcomes: rows of `tables/outcomes.parquet`; those of policies that do not think are left
            out.
        difficulty: dataset, policy, problem_id, level, quantile.
        settings: for the intervals.

    Returns:
        The columns of `accuracy_table`.
    """
    thinking = outcomes[outcomes["thinking"] > 0]
    return accuracy_table(thinking, difficulty, level=settings.confidence)


def thinking_gains(
    outcomes: pd.DataFrame, difficulty: pd.DataFrame, settings: Settings
) -> pd.DataFrame:
    """What each larger thinking budget adds to the one before: `tables/thinking_gains.csv`.

    Args:
        outcomes: as for `thinking_table`.
        difficulty: as for `thinking_table`; a policy that is only compared with has none.
        settings: for the intervals.

    Returns:
        Columns dataset, policy, prm, method, scoring, vote, budget, difficulty ("all" or a level),
        thinking, longer (both T), n_problems, gain (of the longer on the same problems), ci_low,
        ci_high, more_tokens (mean per problem), verdict: "pays" or "hurts" where the interval lies
        on one side of 0, which is not adjusted for the number of rows.
    """
    rows = []
    for cell in read_cells(outcomes[outcomes["thinking"] > 0]):
        known = difficulty[(difficulty[CELL] == [cell.dataset, cell.policy]).all(axis=1)]
        for way, columns in cell.strategies.groupby(WAY, sort=True):
            steps = columns.sort_values("thinking")
            for name, inside in _bins(cell, known):
                for shorter, longer in zip(steps.index, steps.index[1:], strict=False):
                    found = _gain(cell, inside, shorter, longer, settings.confidence)
                    names = dict(zip(WAY, way, strict=True)) | {"difficulty": name}
                    rows.append({"dataset": cell.dataset, "policy": cell.policy} | names | found)
    return pd.DataFrame(rows, columns=GAINS)


def _bins(cell: Cell, known: pd.DataFrame) -> Iterator[tuple[str, list[int]]]:
    """The problems of every level that has some, and all of them."""
    yield ALL, list(range(len(cell.problem_ids)))
    if known.empty:
        return
    labels, bins, _ = bins_of(cell, known, LEVEL)
    for b, label in enumerate(labels):
        if (bins == b).any():
            yield label, list((bins == b).nonzero()[0])


def _gain(cell: Cell, inside: list[int], shorter: int, longer: int, level: float) -> dict:
    gain = paired_difference(cell.correct[inside, longer] - cell.correct[inside, shorter], level)
    tokens = cell.costs["policy_tokens"][inside]
    verdict = PAYS if gain.low > 0 else HURTS if gain.high < 0 else UNCLEAR
    return {
        "thinking": int(cell.strategies["thinking"][shorter]),
        "longer": int(cell.strategies["thinking"][longer]),
        "n_problems": len(inside),
        "gain": gain.mean,
        "ci_low": gain.low,
        "ci_high": gain.high,
        "more_tokens": float((tokens[:, longer] - tokens[:, shorter]).mean()),
        "verdict": verdict,
    }


def forced_table(generations: pd.DataFrame, grades: pd.DataFrame, level: float) -> pd.DataFrame:
    """What the answers are worth whose thoughts were cut: `tables/thinking_forced.csv`.

    Args:
        generations: dataset, policy, problem_id, sample, thinking and forced of every sample of the
            pools of policies that think; may be empty.
        grades: dataset, policy, method, problem_id, path, thinking, correct of them all.
        level: coverage of the intervals.

    Returns:
        One row per dataset, policy and thinking: n_problems; cut (share of the samples whose
        thought was cut); forced_accuracy and own_accuracy (of those samples and of the others;
        missing where there are none); accuracy, ci_low, ci_high (of one sample, forced answers
        counted), unforced, unforced_low, unforced_high (the same where a cut thought has no
        answer).
    """
    graded = grades[grades["method"] == POOL].rename(columns={"path": "sample"})
    keys, found = [*CELL, "problem_id", "sample", "thinking"], []
    if generations.empty:
        return pd.DataFrame(columns=FORCED)
    rows = generations.merge(graded[[*keys, "correct"]], on=keys, validate="one_to_one")
    rows["correct"] = rows["correct"].astype("boolean").fillna(False).astype(float)
    rows["unforced"] = rows["correct"].where(~rows["forced"], 0.0)
    for names, own in rows.groupby([*CELL, "thinking"], sort=True):
        problems = own.groupby("problem_id")[["correct", "unforced"]].mean()
        low, high = accuracy_interval(problems.to_numpy(), level)
        found.append(
            dict(zip([*CELL, "thinking"], names, strict=True))
            | {"n_problems": len(problems), "cut": float(own["forced"].mean())}
            | {"forced_accuracy": own.loc[own["forced"], "correct"].mean()}
            | {"own_accuracy": own.loc[~own["forced"], "correct"].mean()}
            | {"accuracy": problems["correct"].mean(), "ci_low": low[0], "ci_high": high[0]}
            | {"unforced": problems["unforced"].mean(), "unforced_low": low[1]}
            | {"unforced_high": high[1]}
        )
    return pd.DataFrame(found, columns=FORCED)
