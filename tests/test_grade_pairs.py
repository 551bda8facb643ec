"""Agreement with the suites of other graders, and with math-verify on real completions."""

import csv
import gzip
import json
import random

import pytest
from testtime.grade.decide import gold_answer, grade_pairs
from testtime.grade.extract import extract_answer
from testtime.grade.workers import Task, Workers
from testtime.study.conventions import convention_named

VERDICTS = {"true": True, "false": False, "null": None}


@pytest.fixture(scope="module")
def workers():
    with Workers(2, time_limit_s=10) as children:
        yield children


@pytest.fixture(scope="module")
def pairs(shared_data):
    lines = (shared_data / "pairs/equivalence.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [(str(row["prediction"]), row["gold"] or "", row["expected"]) for row in rows]


@pytest.fixture(scope="module")
def explained(root):
    with open(root / "tests/grade_disagreements.csv", newline="") as table:
        return list(csv.DictReader(table))


def _verdicts(pairs, workers, convention="math"):
    settings = convention_named(convention)
    found = [
        (extract_answer(text, settings.name), gold_answer(gold, settings))
        for text, gold, *_ in pairs
    ]
    return [verdict.correct for verdict in grade_pairs(found, settings, workers)]


def test_97_of_100_verdicts_are_as_the_suites_expect_and_the_rest_is_explained(
    pairs, explained, workers
):
    verdicts = _verdicts(pairs, workers)
    wrong = [
        (text, gold, expected, verdict)
        for (text, gold, expected), verdict in zip(pairs, verdicts, strict=True)
        if verdict is not expected
    ]
    assert len(wrong) <= 0.03 * len(pairs)
    table = {
        (row["prediction"], row["gold"], VERDICTS[row["expected"]], VERDICTS[row["ours"]])
        for row in explained
    }
    assert set(wrong) == table
    assert all(row["kind"] in ("convention", "defect") and row["why"] for row in explained)


def test_conventions_that_settle_a_disagreement_do(explained, workers):
    rows = [row for row in explained if row["agrees_under"]]
    for row in rows:
        pair = [(row["prediction"], row["gold"])]
        assert _verdicts(pair, workers, row["agrees_under"]) == [VERDICTS[row["expected"]]]


def test_verdicts_do_not_depend_on_which_side_is_the_gold(pairs, workers):
    answers = [(extract_answer(text), extract_answer(gold)) for text, gold, _ in pairs if gold]
    both = [pair for pair in answers if all(pair) and all(len(x) < 200 for x in pair)]
    settings = convention_named("math")
    there = grade_pairs(both, settings, workers)
    back = grade_pairs([(gold, answer) for answer, gold in both], settings, workers)
    assert [v.correct for v in there] == [v.correct for v in back]


def test_real_completions_get_the_verdicts_of_math_verify(shared_data, root, workers):
    """A sample; the benchmark compares all 6,000 with a plain loop."""
    lines = (shared_data / "problems/math500.jsonl").read_text().splitlines()
    golds = {row["problem_id"]: row["answer"] for row in map(json.loads, lines)}
    with gzip.open(shared_data / "pools/math500_llama-3.2-1b-instruct.jsonl.gz", "rt") as lines:
        rows = random.Random(5).sample([json.loads(line) for line in lines], 200)
    settings = convention_named("math")
    found = [(extract_answer(row["completion"]), golds[row["problem_id"]]) for row in rows]
    ours = [verdict.correct for verdict in grade_pairs(found, settings, workers)]
    replies = workers.run(Task("plain", (answer or "", gold)) for answer, gold in found)
    differ = [
        (answer, gold)
        for (answer, gold), mine, reply in zip(found, ours, replies, strict=True)
        if mine is not None and mine is not bool(reply.result)
    ]
    assert differ == []
