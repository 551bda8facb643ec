"""Grade answers: each distinct (problem, answer) once, the hard ones in bounded processes."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from testtime.errors import UserError
from testtime.grade.classes import canonical_forms, without_idle_labels
from testtime.grade.conventions import Convention, convention_named
from testtime.grade.decide import ASK, Verdict, decide, gold_answer
from testtime.grade.extract import extract_answer
from testtime.grade.pool import MEMORY_LIMIT_MB, TIME_LIMIT_S, Pool, Task
from testtime.runtime.progress import progress

GRADES = ["problem_id", "answer", "answer_class", "correct", "reason"]
_PROGRESS_FROM = 200  # hard pairs


def grade_pairs(
    pairs: Iterable[tuple[str | None, str]], convention: Convention, pool: Pool
) -> list[Verdict]:
    """Verdicts on (answer, gold) pairs, each distinct pair looked at once.

    Args:
        pairs: answers as extracted, golds as `gold_answer` gives them.
        convention: what equals what.
        pool: compares what cannot be decided cheaply.
    """
    pairs = list(pairs)
    verdicts, hard = {}, []
    for pair in dict.fromkeys(pairs):
        verdicts[pair] = decide(*pair, convention)
        if verdicts[pair] == ASK:
            hard.append(pair)
            pool.warm()  # workers take a second to start; the cheap comparisons go on meanwhile
    tasks = [Task("equal", (answer.strip(), gold)) for answer, gold in hard]
    if len(tasks) < _PROGRESS_FROM:
        replies = pool.run(tasks)
    else:
        with progress(len(tasks), "grade", "hard answers") as bar:
            replies = pool.run(tasks, on_reply=lambda *_: bar.update())
    for pair, reply in zip(hard, replies, strict=True):
        verdicts[pair] = Verdict(reply.result, reply.reason)
    return [verdicts[pair] for pair in pairs]


def grade_answers(
    rows: pd.DataFrame,
    golds: Mapping[str, str],
    *,
    convention: str = "math",
    workers: int = 2,
    time_limit_s: float = TIME_LIMIT_S,
    memory_limit_mb: int = MEMORY_LIMIT_MB,
) -> pd.DataFrame:
    """Grade the distinct answers to each problem and put them into equivalence classes.

    Args:
        rows: problem_id, answer ("" or null where there is none); repeats are looked at once.
        golds: problem_id -> gold answer.
        convention: see `convention_named`.
        workers: most child processes; none start while everything can be decided cheaply.
        time_limit_s: processor seconds of one comparison in a worker.
        memory_limit_mb: of one worker.

    Returns:
        One row per distinct (problem_id, answer), in the order first seen: problem_id, answer,
        answer_class (-1 without an answer), correct (nullable boolean, null where it could not be
        decided), reason. All answers of one class have one verdict: where equal forms got
        different ones (a rounded decimal, a label left out), they are parted.

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
    with Pool(workers, time_limit_s, memory_limit_mb) as pool:
        verdicts = grade_pairs(pairs, settings, pool)
        classes = _classes_by_problem(distinct, verdicts, settings, pool)
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
    distinct: pd.DataFrame, verdicts: Sequence[Verdict], convention: Convention, pool: Pool
) -> list[int]:
    """Classes of each problem's answers, numbered in the order first seen."""
    answered = [bool(answer.strip()) for answer in distinct["answer"]]
    given = [a for a, there in zip(distinct["answer"], answered, strict=True) if there]
    unique = list(dict.fromkeys(given))
    # What one comparison could not get through would use up its limits again.
    too_hard = {
        answer
        for answer, verdict in zip(distinct["answer"], verdicts, strict=True)
        if verdict.reason.startswith("undecided")
    }
    forms = dict(zip(unique, canonical_forms(unique, convention, pool, too_hard), strict=True))
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
    *,
    convention: str = "math",
    workers: int = 2,
    time_limit_s: float = TIME_LIMIT_S,
    memory_limit_mb: int = MEMORY_LIMIT_MB,
) -> pd.DataFrame:
    """Grade every sample of a policy.

    Args:
        samples: method, prm, budget, problem_id, path, and text (a solution) or answer (given
            directly; it is taken where it is not null).
        golds: problem_id -> gold answer.
        convention: see `convention_named`.
        workers: most child processes; none start while everything can be decided cheaply.
        time_limit_s: processor seconds of one comparison in a worker.
        memory_limit_mb: of one worker.

    Returns:
        One row per sample, sorted by method, prm, budget, problem_id and path: these columns and
        answer ("" if none), answer_class, correct, reason as in `grade_answers`.
    """
    identity = ["method", "prm", "budget", "problem_id", "path"]
    columns = [name for name in ("text", "answer") if name in samples]
    rows = samples[identity + columns].sort_values(identity, kind="stable", ignore_index=True)
    given = rows["answer"] if "answer" in rows else pd.Series([None] * len(rows), dtype=object)
    if "text" in rows:
        texts = rows["text"].fillna("")
        found = {text: extract_answer(text, convention) or "" for text in texts.unique()}
        given = given.where(given.notna(), texts.map(found))
    rows = rows[identity].assign(answer=given.fillna("").astype(object))
    graded = grade_answers(
        rows,
        golds,
        convention=convention,
        workers=workers,
        time_limit_s=time_limit_s,
        memory_limit_mb=memory_limit_mb,
    )
    return rows.merge(graded, on=["problem_id", "answer"], how="left", validate="many_to_one")
