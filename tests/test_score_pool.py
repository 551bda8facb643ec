"""Scoring a pool: equal texts are read once, every sample gets its own row."""

import pandas as pd
import pytest
from testtime.errors import UserError
from testtime.score import describe_unscored, score_pool
from testtime.study.types import StepScores

PROBLEMS = pd.DataFrame({"problem_id": ["p", "q"], "problem": ["What?", "Why?"]})


class CountingPrm:
    """Scores a step by its length; reads each character of a text."""

    def __init__(self):
        self.asked = []
        self.ready = []

    def submit(self, request):
        self.asked.append(request)
        scores = tuple(1 / len(step) for step in request.steps)
        tokens = len(request.problem) + sum(map(len, request.steps))
        self.ready.append((len(self.asked), StepScores(scores, tokens)))
        return len(self.asked)

    def poll(self):
        done, self.ready = self.ready[::-1], []
        return done


class Counter:
    def __init__(self):
        self.n = 0

    def update(self, n=1):
        self.n += n


def generations(*rows):
    return pd.DataFrame(rows, columns=["problem_id", "sample", "steps"])


def test_every_sample_has_its_scores_and_the_tokens_of_its_whole_text():
    prm, done = CountingPrm(), Counter()
    pool = generations(
        ("q", 0, ["ab", "abcd"]), ("p", 0, ["ab"]), ("p", 1, []), ("p", 2, ["ab"]), ("q", 1, ["ab"])
    )
    rows = score_pool(prm, PROBLEMS, pool, done)
    assert rows["problem_id"].tolist() == ["q", "p", "p", "p", "q"]
    assert rows["sample"].tolist() == [0, 0, 1, 2, 1]
    assert rows["scores"].tolist() == [[0.5, 0.25], [0.5], [], [0.5], [0.5]]
    assert rows["prm_tokens"].tolist() == [10, 7, 0, 7, 6]
    assert done.n == 5


def test_equal_texts_of_a_problem_are_read_once_and_texts_without_steps_never():
    prm = CountingPrm()
    pool = generations(*(("p", i, ["ab", "c"]) for i in range(5)), ("p", 5, []), ("q", 0, ["ab"]))
    score_pool(prm, PROBLEMS, pool)
    assert sorted((request.problem, request.steps) for request in prm.asked) == [
        ("What?", ("ab", "c")),
        ("Why?", ("ab",)),
    ]
    assert all(request.known == 0 for request in prm.asked)


def test_a_pool_larger_than_a_chunk_is_scored_whole(monkeypatch):
    monkeypatch.setattr("testtime.score.CHUNK", 3)
    pool = generations(*(("p", i, ["a" * (i % 7 + 1)]) for i in range(20)))
    rows = score_pool(CountingPrm(), PROBLEMS, pool)
    assert rows["scores"].tolist() == [[1 / (i % 7 + 1)] for i in range(20)]


def test_an_empty_pool_gives_no_rows():
    rows = score_pool(CountingPrm(), PROBLEMS, generations())
    assert rows.columns.tolist() == ["problem_id", "sample", "scores", "prm_tokens"]
    assert len(rows) == 0


def test_a_sample_of_an_unknown_problem_is_named():
    with pytest.raises(UserError, match="'r', which is not in the dataset"):
        score_pool(CountingPrm(), PROBLEMS, generations(("r", 0, ["x"])))


def test_steps_that_the_prm_could_not_read_are_counted():
    steps = [["a", "b", "c"], ["a"], ["a", "b"], [], ["a"]]
    scores = [[0.5], [0.5], [], [], [0.1]]
    assert describe_unscored(steps, scores, "samples") == (
        "2 of 5 samples are longer than the PRM's context: 4 steps have no score, 1 samples have "
        "none at all"
    )
    assert describe_unscored(steps[1:2], scores[1:2], "paths").startswith("0 of 1 paths")
