"""Grading the samples of a policy: each distinct answer once, votes and verdicts in step."""

import time

import pandas as pd
import pytest
from testtime.errors import UserError
from testtime.grade.extract import extract_answer
from testtime.grade.grading import disagreements, grade_answers, grade_policy
from testtime.grade.workers import Workers
from testtime.study.conventions import convention_named

GOLDS = {"p": "1/2", "q": "x=5"}


@pytest.fixture(scope="module")
def workers():
    with Workers() as children:
        yield children


def _rows(pairs):
    return pd.DataFrame(pairs, columns=["problem_id", "answer"])


def test_one_row_per_distinct_answer_with_class_verdict_and_reason(workers):
    rows = _rows([("p", "0.5"), ("q", "5"), ("p", "1/2"), ("p", "0.5"), ("p", "1/3"), ("p", "")])
    graded = grade_answers(rows, GOLDS, workers)
    assert graded.columns.tolist() == ["problem_id", "answer", "answer_class", "correct", "reason"]
    assert graded["answer"].tolist() == ["0.5", "5", "1/2", "1/3", ""]
    assert graded["answer_class"].tolist() == [0, 0, 0, 1, -1]
    assert graded["correct"].dtype == "boolean"
    assert graded["correct"].tolist() == [True, True, True, False, False]
    assert graded["reason"].tolist()[-1] == "no answer"


def test_a_class_has_one_verdict(workers):
    # 5 and y=5 would vote together, but only one of them is x=5.
    graded = grade_answers(
        _rows([("q", "5"), ("q", "y=5"), ("q", "50"), ("q", "5000%")]), GOLDS, workers
    )
    per_class = graded.groupby("answer_class")["correct"].nunique()
    assert (per_class == 1).all()
    assert graded["correct"].tolist() == [True, False, False, False]


def test_what_cannot_be_read_is_null_not_false(workers):
    graded = grade_answers(
        _rows([("p", r"\frac{1}{"), ("p", "(" * 3000), ("p", "0.5")]), GOLDS, workers
    )
    assert graded["correct"].isna().tolist() == [True, True, False]
    assert graded["reason"].str.startswith("undecided").tolist() == [True, True, False]


def test_formulas_are_read_by_math_verify_and_join_classes(workers):
    rows = _rows([("p", r"\sum_{k=1}^{3} k"), ("p", "6"), ("p", r"\sum_{k=1}^{4} k")])
    graded = grade_answers(rows, {"p": r"\sum_{j=1}^{3} j"}, workers)
    assert graded["correct"].tolist() == [True, True, False]
    assert graded["answer_class"].tolist() == [0, 0, 1]
    assert set(graded["reason"]) == {"same value", "different value"}


def test_values_that_do_not_tell_are_compared_by_math_verify(workers):
    rows = _rows([("p", "-x > -3"), ("p", "-x > -4"), ("p", "(-\\infty, 3)")])
    graded = grade_answers(rows, {"p": "x < 3"}, workers)
    assert graded["correct"].tolist() == [True, False, True]
    assert graded["reason"].tolist() == [
        "math-verify: equal",
        "math-verify: different",
        "same value",
    ]


def test_a_missing_gold_is_named(workers):
    with pytest.raises(UserError, match="no gold answer for problem 'r'"):
        grade_answers(_rows([("r", "1")]), GOLDS, workers)


def test_unknown_conventions_are_refused():
    with pytest.raises(UserError, match="'maths' is not known; allowed: math, integer, exact"):
        convention_named("maths")
    with pytest.raises(UserError, match="'percent=half' is not known"):
        convention_named("math,percent=half")


def _samples(texts, method="pool"):
    return pd.DataFrame(
        [
            {"method": method, "prm": "none", "budget": 0, "problem_id": p, "path": i, "text": t}
            for i, (p, t) in enumerate(texts)
        ]
    )


def test_every_sample_has_a_row_in_a_fixed_order(workers):
    pool = _samples([("q", r"\boxed{5}"), ("p", "cut off here, and then we"), ("p", r"\boxed{.5}")])
    cot = _samples([("p", "The answer is $\\frac12$.")], "cot")
    graded = grade_policy(pd.concat([pool, cot]), GOLDS, workers)
    assert graded.columns.tolist() == [
        "method", "prm", "budget", "problem_id", "path", "answer", "answer_class", "correct",
        "reason",
    ]  # fmt: skip
    assert graded["method"].tolist() == ["cot", "pool", "pool", "pool"]
    assert graded["problem_id"].tolist() == ["p", "p", "p", "q"]
    assert graded["answer"].tolist() == [r"\frac12", "", ".5", "5"]
    assert graded["answer_class"].tolist() == [0, -1, 0, 0]
    assert graded["correct"].tolist() == [True, False, True, True]
    with Workers(1) as one:
        again = grade_policy(pd.concat([cot, pool.iloc[::-1]]), GOLDS, one)
    pd.testing.assert_frame_equal(graded, again)


def test_answers_given_without_a_text_are_taken_as_they_are(workers):
    samples = _samples([("p", ""), ("p", r"\boxed{1/3}")]).assign(answer=["0.5", None])
    assert grade_policy(samples, GOLDS, workers)["correct"].tolist() == [True, False]
    assert grade_policy(samples.drop(columns="text"), GOLDS, workers)["correct"].tolist() == [
        True,
        False,
    ]


def test_the_default_study_is_graded_in_seconds_without_a_worker(monkeypatch):
    def fail(*_args, **_kwargs):
        raise AssertionError("no worker is needed")

    monkeypatch.setattr(Workers, "_start", fail)
    n = 200_000
    samples = pd.DataFrame(
        {
            "method": "pool",
            "prm": "none",
            "budget": 0,
            "problem_id": [f"m{i % 200}" for i in range(n)],
            "path": range(n),
            "text": [
                f" (1) c=7*8 c={i % 7}\n\n\\boxed{{{i % 7},{i % 3},{i % 10}}}" for i in range(n)
            ],
        }
    )
    started = time.process_time()
    golds = {f"m{i}": "1,1,1" for i in range(200)}
    graded = grade_policy(samples, golds, Workers(), convention="exact")
    assert time.process_time() - started < 8
    index = pd.Series(range(n))
    right = (index % 7 == 1) & (index % 3 == 1) & (index % 10 == 1)
    assert graded["correct"].sum() == right.sum()


def test_disagreements_with_math_verify_are_listed_for_a_person(workers):
    samples = _samples(
        [("p", r"\boxed{0.5}"), ("p", r"\boxed{40}"), ("p", r"\boxed{\frac{}}"), ("p", "x")]
    )
    graded = grade_policy(samples, {"p": "40_9"}, workers)
    table = disagreements(graded, {"p": "40_9"}, workers)
    # math-verify drops the base; the broken fraction cannot be read.
    assert table["answer"].tolist() == ["40", r"\frac{}"]
    assert table["math_verify"].tolist() == [True, False]
    assert table["samples"].tolist() == [1, 1]
    assert disagreements(graded, {"p": "40_9"}, workers, convention="exact").empty


def test_solutions_of_a_study_in_another_convention(workers):
    assert extract_answer(r"so \boxed{025}", "integer") == "025"
    graded = grade_answers(
        _rows([("p", "025"), ("p", "25.0")]), {"p": "25"}, workers, convention="integer"
    )
    assert graded["correct"].all()
    assert graded["answer_class"].tolist() == [0, 0]
