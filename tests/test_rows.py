"""The store of rows: what a job has computed is there for every later one, and nothing else is."""

import gzip
import json
from contextlib import suppress

import pandas as pd
import pytest
from fakes import FakePolicy, FakePrm, random_tree
from testtime.data.rows import Rows, digest, open_rows
from testtime.engines.load import Measured
from testtime.errors import UserError
from testtime.runtime.lock import LOCK, RUN, RunOverError, hold
from testtime.sample import Draw, SampleSettings, draw_missing, to_table
from testtime.score import score_pool
from testtime.search.rows import describe
from testtime.search.rows import to_table as to_paths
from testtime.search.run import SearchSettings, grow_trees, plant
from testtime.study.catalog import load
from testtime.study.methods import names
from testtime.study.types import Problem, Sampling

PROBLEMS = [Problem(f"p{i}", f"What is {i} + {i}?") for i in range(12)]
IDS = {problem.problem_id for problem in PROBLEMS}
SPEC = load().policy("micro-s")


class EndedError(Exception):
    """The job was killed."""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store/generate/d/p"


def keep(folder, *added):
    with open_rows(folder, ()) as rows:
        for stamp, own in added:
            rows.add(stamp, own)


def files(folder):
    return sorted(folder.glob("*"))


def test_rows_come_back_as_they_were(folder):
    row = {"text": "ки ∎\n\n", "scores": [0.1, 1 / 3], "seed": 2**62 + 1, "logprob": -1e-300}
    keep(folder, ("a", {0: row, 7: {}}), ("b", {"x": [1, None]}))
    keep(folder, ("a", {3: {"text": ""}}))
    with open_rows(folder, {"a", "b"}) as rows:
        assert rows.of("a") == {0: row, 7: {}, 3: {"text": ""}}
        assert rows.of("b") == {"x": [1, None]}


def test_only_rows_of_the_wanted_stamps_are_found(folder):
    keep(folder, ("a", {0: 1}), ("b", {0: 2}))
    with open_rows(folder, {"b", "c"}) as rows:
        assert (rows.of("a"), rows.of("b"), rows.of("c")) == ({}, {0: 2}, {})


def test_a_job_that_adds_nothing_leaves_no_file(folder):
    with open_rows(folder, {"a"}) as rows:
        assert rows.of("a") == {}
    assert not folder.exists()


def test_several_jobs_write_at_once(folder):
    with open_rows(folder, ()) as one, open_rows(folder, ()) as other:
        for i in range(5):
            one.add("a", {i: "one"})
            other.add("a", {i + 3: "other"})
    assert len(files(folder)) == 2
    with open_rows(folder, {"a"}) as rows:
        assert sorted(rows.of("a")) == list(range(8))
        assert rows.of("a")[3] == rows.of("a")[4]  # of the writer that began first


@pytest.mark.parametrize("cut", [1, 5, 20, 40])
def test_a_line_that_was_being_written_is_dropped_and_no_other(folder, cut):
    keep(folder, ("a", {0: "x" * 50}), ("a", {1: [cut] * 30}))
    (file,) = files(folder)
    file.write_bytes(file.read_bytes()[:-cut])
    keep(folder, ("a", {2: "after"}))
    with open_rows(folder, {"a"}) as rows:
        # With only its checksum cut off, a line is still whole.
        assert {0: "x" * 50, 2: "after"}.items() <= rows.of("a").items()
        assert rows.of("a").get(1) in (None, [cut] * 30)


def test_lines_are_plain_json_that_any_tool_reads(folder):
    keep(folder, ("a", {0: {"tokens": pd.Series([3]).iloc[0]}}), ("b", {"k": 1}))
    (file,) = files(folder)
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    assert [json.loads(line) for line in lines] == [["a", [[0, {"tokens": 3}]]], ["b", [["k", 1]]]]


def test_a_full_disk_is_said_so(folder):
    with open_rows(folder, ()) as rows, open("/dev/full", "ab", 0) as full:
        rows._file = full
        with pytest.raises(UserError, match=r"cannot write in .*No space left on device"):
            rows.add("a", {0: 1})


def test_a_disk_that_takes_a_part_of_a_line_is_full(folder):
    class Disk:
        def write(self, data):
            return len(data) - 1

        def close(self):
            pass

    with open_rows(folder, ()) as rows:
        rows._file = Disk()
        with pytest.raises(UserError, match=r"cannot write in .*No space left on device"):
            rows.add("a", {0: 1})


def test_a_digest_tells_values_apart_and_nothing_else():
    assert digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1})
    assert len({digest(x) for x in ("1", 1, [1], {"1": 1}, None, "", "\ud800")}) == 7


def test_a_model_is_loaded_when_it_is_first_used():
    loaded = []
    policy = Measured(SPEC, lambda: loaded.append(1) or FakePolicy(random_tree(1)))
    assert loaded == []
    assert policy.encode("x") == policy.encode("x")
    assert loaded == [1]


def test_a_model_that_cannot_be_loaded_is_tried_once():
    tried = []

    def load():
        tried.append(1)
        raise AttributeError("a library of another version")

    policy = Measured(SPEC, load)
    with pytest.raises(AttributeError, match="of another version"):
        policy.encode("x")
    assert tried == [1]


def end_after(rows, n):
    """Let the job be killed when it has kept n units."""
    add = rows.add

    def adding(stamp, own):
        nonlocal n
        if n == 0:
            raise EndedError
        n -= 1
        add(stamp, own)

    rows.add = adding


def draws(start=0, stop=4, problems=PROBLEMS):
    settings = SampleSettings(Sampling(), 40, (1, "d", "p"))
    return [Draw(p, settings, range(start, stop), p.problem_id) for p in problems]


def drawn(wanted, rows, policy=None):
    draw_missing(policy or FakePolicy(random_tree(1)), wanted, rows)
    return to_table(wanted, rows)


def asked(policy):
    return sum(len(request.seeds) for request in policy.requests)


@pytest.mark.parametrize("done", [0, 5, 12])
def test_samples_go_on_behind_the_finished_problems(folder, done):
    whole = drawn(draws(), Rows())
    with suppress(EndedError), open_rows(folder, IDS) as rows:
        end_after(rows, done)
        drawn(draws(), rows)
    policy = FakePolicy(random_tree(1), order=3)
    with open_rows(folder, IDS) as rows:
        pd.testing.assert_frame_equal(drawn(draws(), rows, policy), whole)
    assert len(policy.requests) == len(PROBLEMS) - done


def test_a_budget_between_two_others_or_above_draws_what_is_missing(folder):
    with open_rows(folder, IDS) as rows:
        drawn(draws(0, 4), rows)
    for start, stop, new in ((0, 2, 0), (2, 4, 0), (0, 6, 2), (6, 7, 1)):
        policy = FakePolicy(random_tree(1))
        with open_rows(folder, IDS) as rows:
            found = drawn(draws(start, stop), rows, policy)
        assert asked(policy) == new * len(PROBLEMS)
        pd.testing.assert_frame_equal(found, drawn(draws(start, stop), Rows()))


def test_other_shards_find_the_rows_of_the_first(folder):
    with open_rows(folder, IDS) as rows:
        drawn(draws(problems=PROBLEMS[::2]), rows)
    for shard in range(3):
        policy = FakePolicy(random_tree(1))
        own = PROBLEMS[shard::3]
        with open_rows(folder, IDS) as rows:
            drawn(draws(problems=own), rows, policy)
        assert asked(policy) == 4 * sum(problem not in PROBLEMS[::2] for problem in own)


def test_a_model_is_not_loaded_where_all_rows_are_there(folder):
    with open_rows(folder, IDS) as rows:
        drawn(draws(), rows)
    with open_rows(folder, IDS) as rows:
        draw_missing(Measured(SPEC, lambda: pytest.fail("loaded")), draws(), rows)


def test_scores_go_on_behind_the_finished_texts(folder, monkeypatch):
    monkeypatch.setattr("testtime.score.CHUNK", 10)
    samples = drawn(draws(), Rows())
    problems = pd.DataFrame([vars(problem) for problem in PROBLEMS])
    undisturbed = FakePrm()
    whole = score_pool(undisturbed, problems, samples)
    stamps = {problem_id: problem_id for problem_id in IDS}
    with suppress(EndedError), open_rows(folder, IDS) as rows:
        end_after(rows, 5)
        score_pool(FakePrm(), problems, samples, rows=rows, stamps=stamps)
    with open_rows(folder, IDS) as rows:
        prm, kept = FakePrm(), sum(len(rows.of(stamp)) for stamp in IDS)
        found = score_pool(prm, problems, samples, rows=rows, stamps=stamps)
    pd.testing.assert_frame_equal(found, whole)
    assert kept > 5
    assert len(undisturbed.reads) - len(prm.reads) == pytest.approx(kept, abs=3)  # texts have steps


def test_a_text_that_was_scored_is_not_read_again(folder):
    problems = pd.DataFrame([vars(problem) for problem in PROBLEMS])
    stamps = {problem_id: problem_id for problem_id in IDS}
    for stop in (2, 4, 4):
        samples, prm = drawn(draws(0, stop), Rows()), FakePrm()
        with open_rows(folder, IDS) as rows:
            before = {stamp: set(rows.of(stamp)) for stamp in IDS}
            score_pool(prm, problems, samples, rows=rows, stamps=stamps)
            new = sum(len(set(rows.of(stamp)) - before[stamp]) for stamp in IDS)
        assert len(prm.reads) <= new


def search(method, budget=8):
    settings = SearchSettings(
        method,
        budget=budget,
        sampling=Sampling(),
        step_tokens=20,
        max_steps=6,
        max_tokens=120,
        seed_parts=(1, "d", "p", "r"),
    )
    return dict.fromkeys(plant(PROBLEMS, settings), settings)


def stamp_of(tree, settings):
    return f"{tree.problem.problem_id} {settings.method} {settings.budget}"


def grow(trees, rows, policy):
    missing = {
        tree: own for tree, own in trees.items() if tree.subtree not in rows.of(stamp_of(tree, own))
    }
    for tree, result in grow_trees(policy, FakePrm(), missing):
        rows.add(stamp_of(tree, trees[tree]), {tree.subtree: describe(result)})
    return to_paths(
        (tree.problem.problem_id, rows.of(stamp_of(tree, own))[tree.subtree])
        for tree, own in trees.items()
    )


@pytest.mark.parametrize("method", names("search"))
def test_searches_go_on_behind_the_finished_trees(folder, method):
    trees, undisturbed = search(method), FakePolicy(random_tree(1))
    stamps = {stamp_of(tree, own) for tree, own in trees.items()}
    whole = grow(trees, Rows(), undisturbed)
    with suppress(EndedError), open_rows(folder, stamps) as rows:
        end_after(rows, 7)
        grow(trees, rows, FakePolicy(random_tree(1)))
    policy = FakePolicy(random_tree(1), order=3)
    with open_rows(folder, stamps) as rows:
        assert sum(len(rows.of(stamp)) for stamp in stamps) == 7
        pd.testing.assert_frame_equal(grow(trees, rows, policy), whole)
    assert policy.tokens < undisturbed.tokens


def test_searches_that_run_together_give_the_paths_that_each_gives_alone():
    searches = [search(method, budget) for method in names("search") for budget in (4, 8)]
    together = {tree: own for trees in searches for tree, own in trees.items()}
    rows = Rows()
    policy, prm = FakePolicy(random_tree(1), order=2), FakePrm()
    for tree, result in grow_trees(policy, prm, together):
        rows.add(stamp_of(tree, together[tree]), {tree.subtree: describe(result)})
    alone = 0
    for trees in searches:
        single = FakePolicy(random_tree(1))
        expected = grow(trees, Rows(), single)
        alone += single.tokens
        found = to_paths(
            (tree.problem.problem_id, rows.of(stamp_of(tree, own))[tree.subtree])
            for tree, own in trees.items()
        )
        pd.testing.assert_frame_equal(found, expected)
    assert policy.tokens < alone  # what two budgets of adaptive best-of-N share is drawn once


def test_a_job_of_an_earlier_run_ends_at_its_next_rows_and_keeps_them(
    folder, tmp_path, monkeypatch
):
    for name in (RUN, LOCK):  # what `hold` leaves behind
        monkeypatch.setenv(name, "")
    hold(tmp_path)
    with open_rows(folder, ()) as rows:
        rows.add("a", {0: "of a run"})
        monkeypatch.setenv(RUN, "a run that was killed")
        with pytest.raises(RunOverError, match="another one is writing"):
            rows.add("a", {1: "of a job that outlived it"})
    with open_rows(folder, {"a"}) as rows:
        assert set(rows.of("a")) == {0, 1}
