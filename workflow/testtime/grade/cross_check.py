"""Where this grader and math-verify, called plainly, disagree: a table for a person to look at."""

from collections.abc import Mapping

import pandas as pd

from testtime.grade.conventions import convention_named
from testtime.grade.decide import gold_answer
from testtime.grade.pool import MEMORY_LIMIT_MB, TIME_LIMIT_S, Pool, Task

DISAGREEMENTS = ["problem_id", "gold", "answer", "samples", "correct", "reason", "math_verify"]


def disagreements(
    graded: pd.DataFrame,
    golds: Mapping[str, str],
    *,
    convention: str = "math",
    workers: int = 2,
    time_limit_s: float = TIME_LIMIT_S,
    memory_limit_mb: int = MEMORY_LIMIT_MB,
    most: int = 2000,
) -> pd.DataFrame:
    """Answers on which the two graders differ, and those that could not be decided.

    Args:
        graded: of `grade_policy` or `grade_answers`.
        golds: problem_id -> gold answer.
        convention: see `convention_named`.
        workers: most child processes.
        time_limit_s: processor seconds of one comparison.
        memory_limit_mb: of one worker.
        most: so many distinct answers, the most frequent ones, are checked.

    Returns:
        problem_id, gold, answer, samples (how many gave it), correct, reason, math_verify (its
        verdict; null where it did not end in time), the most frequent first. Empty under the
        "exact" convention, which has nothing to compare with.
    """
    settings = convention_named(convention)
    counted = (
        graded[graded["answer"] != ""]
        .groupby(["problem_id", "answer"], sort=True)
        .agg(samples=("answer", "size"), correct=("correct", "first"), reason=("reason", "first"))
        .reset_index()
        .sort_values("samples", ascending=False, kind="stable")
    )
    if settings.name == "exact" or counted.empty:
        return pd.DataFrame(columns=DISAGREEMENTS)
    counted["gold"] = counted["problem_id"].map(golds)
    checked = counted[counted["reason"] != "same text"].head(most)
    tasks = [
        Task("plain", (answer, gold_answer(gold, settings)))
        for answer, gold in zip(checked["answer"], checked["gold"], strict=True)
        if len(answer) <= 10_000
    ]
    checked = checked[checked["answer"].str.len() <= 10_000]
    with Pool(workers, time_limit_s, memory_limit_mb) as pool:
        theirs = [reply.result for reply in pool.run(tasks)]
    checked = checked.assign(math_verify=pd.array(theirs, dtype="boolean"))
    ours = pd.array(checked["correct"], dtype="boolean")
    # Two nulls agree that nothing is known, but a person should see that too.
    differs = pd.Series(ours != checked["math_verify"].array).fillna(True).to_numpy(dtype=bool)
    return checked.loc[differs, DISAGREEMENTS].reset_index(drop=True)
