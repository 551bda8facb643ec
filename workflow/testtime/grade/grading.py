"""The stage: every sample of a policy, each distinct (problem, answer) once; and a cross-check."""

from collections.abc import Mapping, Sequence

import pandas as pd

from testtime.errors import UserError
from testtime.grade.classes import canonical_forms, without_idle_labels
from testtime.grade.decide import Verdict, gold_answer, grade_pairs
from testtime.grade.extract import extract_answer
from testtime.grade.workers import Task, Workers
from testtime.study.conventions import MOST_CHECKED, Convention, convention_named

DISAGREEMENTS = ["problem_id", "gold", "answer", "samples", "correct", "reason", "math_verify"]
_LONGEST_CHECKED = 10_000  # longest answer, in characters, for plain math-verify


def grade_answers(
    rows: pd.DataFrame,
    golds: Mapping[str, str],
    workers: Workers,
    *,
    convention: str = "math",
) -> pd.DataFrame:
    """Grade the distinct answers to each problem and put them into equivalence classes.

    Args:
        rows: problem_id, answer ("" or null where there is none); repeats are graded once.
        golds: problem_id -> gold answer.
        workers: none of their processes starts while everything can be decided cheaply.
        convention: see `convention_named`.

    Returns:
        One row per distinct (problem_id, answer), in the order first seen: problem_id, answer,
        answer_class (-1 without an answer), correct (nullable boolean, null where it could not be
        decided), reason. All answers of one class have one verdict: if equal forms got different
        ones (a rounded decimal, a label left out), the class is split.

    Raises:
        UserError: a problem has no gold answer.
    """
    settings = convention_named(convention)
    distinct = rows[["problem_id", "answer"]].fillna({"answer": ""}).drop_duplicates()
    missing = sorted(set(distinct["problem_id"]) - set(golds))
    if missing:
        raise UserError(f"no gold answer for problem {missing[0]!r} ({len(missing)} such problems)")
    keys = {name: gold_answer(golds[name], settings) for name in distinct["problem_id"].unique()}
    pairs = [
        (answer, keys[name])
        for name, answer in zip(distinct["problem_id"], distinct["answer"], strict=True)
    ]
    verdicts = grade_pairs(pairs, settings, workers)
    classes = _classes_by_problem(distinct, verdicts, settings, workers)
    return pd.DataFrame(
        {
            "problem_id": distinct["problem_id"].to_numpy(),
            "answer": distinct["answer"].to_numpy(),
            "answer_class": pd.array(classes, dtype="int64"),
            "correct": pd.array([verdict.correct for verdict in verdicts], dtype="boolean"),
            "reason": [verdict.reason for verdict in verdicts],
        }
    )


def _classes_by_problem(
    distinct: pd.DataFrame, verdicts: Sequence[Verdict], convention: Convention, workers: Workers
) -> list[int]:
    """Classes of each problem's answers, numbered in the order first seen."""
    answered = [bool(answer.strip()) for answer in distinct["answer"]]
    unique = list(dict.fromkeys(distinct["answer"][answered]))
    forms = dict(zip(unique, canonical_forms(unique, convention, workers), strict=True))
    classes = [-1] * len(distinct)
    for positions in distinct.groupby("problem_id", sort=False).indices.values():
        members = [i for i in positions if answered[i]]
        own = without_idle_labels([forms[distinct["answer"].iat[i]] for i in members])
        numbered: dict = {}
        for i, form in zip(members, own, strict=True):
            classes[i] = numbered.setdefault((form, verdicts[i].correct), len(numbered))
    return classes


def grade_policy(
    samples: pd.DataFrame,
    golds: Mapping[str, str],
    workers: Workers,
    *,
    convention: str = "math",
) -> pd.DataFrame:
    """Grade every sample of a policy.

    Args:
        samples: method, prm, budget, problem_id, path, thinking (if there is), and text (a
            solution) or answer (given directly; it is taken where it is not null).
        golds: problem_id -> gold answer.
        workers: none of their processes starts while everything can be decided cheaply.
        convention: see `convention_named`.

    Returns:
        One row per sample, sorted by method, prm, budget, problem_id and path: these columns and
        answer ("" if none), answer_class, correct, reason as in `grade_answers`.
    """
    identity = ["method", "prm", "budget", "problem_id", "path"]
    identity += ["thinking"] if "thinking" in samples else []
    columns = [name for name in ("text", "answer") if name in samples]
    rows = samples[identity + columns].sort_values(identity, kind="stable", ignore_index=True)
    given = rows["answer"] if "answer" in rows else pd.Series([None] * len(rows), dtype=object)
    if "text" in rows:
        texts = rows["text"].fillna("")
        found = {text: extract_answer(text, convention) or "" for text in texts.unique()}
        given = given.where(given.notna(), texts.map(found))
    rows = rows[identity].assign(answer=given.fillna("").astype(object))
    graded = grade_answers(rows, golds, workers, convention=convention)
    return rows.merge(graded, on=["problem_id", "answer"], how="left", validate="many_to_one")


def disagreements(
    graded: pd.DataFrame,
    golds: Mapping[str, str],
    workers: Workers,
    *,
    convention: str = "math",
    most: int = MOST_CHECKED,
) -> pd.DataFrame:
    """Answers on which this grader and math-verify differ, and those that could not be decided.

    Args:
        graded: of `grade_policy` or `grade_answers`.
        golds: problem_id -> gold answer.
        workers: run math-verify.
        convention: see `convention_named`.
        most: number of distinct answers, the most frequent ones, that are checked.

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
    checked = checked[checked["answer"].str.len() <= _LONGEST_CHECKED]
    tasks = [
        Task("plain", (answer, gold_answer(gold, settings)))
        for answer, gold in zip(checked["answer"], checked["gold"], strict=True)
    ]
    theirs = [reply.result for reply in workers.run(tasks)]
    checked = checked.assign(math_verify=pd.array(theirs, dtype="boolean"))
    ours = pd.array(checked["correct"], dtype="boolean")
    # Two nulls agree, but a person should see these too.
    differs = pd.Series(ours != checked["math_verify"].array).fillna(True).to_numpy(dtype=bool)
    return checked.loc[differs, DISAGREEMENTS].reset_index(drop=True)
