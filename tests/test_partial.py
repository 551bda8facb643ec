"""A job that is ended goes on where it was, with the same result as one that was not."""

import json
import time
from contextlib import suppress

import pandas as pd
import pytest
from fakes import FakePolicy, FakePrm, random_tree
from testtime.data.partial import resume
from testtime.errors import UserError
from testtime.sample import SampleSettings, sample_pool
from testtime.score import score_pool
from testtime.search.rows import to_rows
from testtime.search.run import SearchSettings, search_problems
from testtime.study.methods import names
from testtime.study.types import Problem, Sampling

PROBLEMS = [Problem(f"p{i}", f"What is {i} + {i}?") for i in range(12)]
PARAMS = {"settings": {"temperature": 1.0}, "seed": 7}


class EndedError(Exception):
    """The job was killed."""


class Kept:
    """A place for an output and what is kept for it."""

    def __init__(self, folder):
        self.results = folder / "results"
        self.output = self.results / "generations/d/p/0-4/1-of-1.parquet"
        self.input = folder / "problems.parquet"
        self.input.write_text("problems")

    def resume(self, **params):
        return resume(self.output, self.results, PARAMS | params, [str(self.input)])

    def files(self):
        return sorted(self.results.glob("partial/*"))


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path)


def end_after(partial, n):
    """Let the job be killed when it has kept n units."""
    add = partial.add

    def adding(unit, rows):
        nonlocal n
        if n == 0:
            raise EndedError
        n -= 1
        add(unit, rows)

    partial.add = adding


def begin(kept, units, **params):
    with suppress(EndedError), kept.resume(**params) as partial:
        for unit, rows in units.items():
            partial.add(unit, rows)
        raise EndedError


def test_units_come_back_as_they_were(kept):
    rows = [{"text": "ки ∎\n\n", "scores": [0.1, 1 / 3], "seed": 2**62 + 1, "logprob": -1e-300}]
    begin(kept, {"p0": rows, "p1": []})
    begin(kept, {"p2": [{"text": ""}]})
    with kept.resume() as partial:
        assert partial.units == {"p0": rows, "p1": [], "p2": [{"text": ""}]}


def test_nothing_is_left_once_the_output_is_written(kept):
    begin(kept, {"p0": [1]})
    assert len(kept.files()) == 1
    with kept.resume() as partial:
        partial.add("p1", [2])
    assert kept.files() == []
    with kept.resume() as partial:
        assert partial.units == {}


@pytest.mark.parametrize("cut", [2, 5, 9])
def test_a_line_that_was_being_written_is_dropped_and_no_other(kept, cut):
    begin(kept, {"p0": [1, 2], "p1": [3, 4]})
    (file,) = kept.files()
    file.write_bytes(file.read_bytes()[:-cut])
    with suppress(EndedError), kept.resume() as partial:
        assert partial.units == {"p0": [1, 2]}
        partial.add("p2", [5])
        raise EndedError
    with kept.resume() as partial:
        assert partial.units == {"p0": [1, 2], "p2": [5]}


def test_a_changed_setting_reuses_nothing_and_clears_what_was_kept(kept):
    begin(kept, {"p0": [1]})
    begin(kept, {"p0": [2]}, settings={"temperature": 0.7})
    assert len(kept.files()) == 1
    with kept.resume(settings={"temperature": 0.7}) as partial:
        assert partial.units == {"p0": [2]}
    with kept.resume() as partial:
        assert partial.units == {}


def test_a_changed_input_reuses_nothing(kept):
    begin(kept, {"p0": [1]})
    time.sleep(0.01)
    kept.input.write_text("Problems")
    with kept.resume() as partial:
        assert partial.units == {}


def test_a_folder_is_told_by_the_files_in_it(kept, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("1")
    again = {"inputs": [str(model)], "params": {}}
    with suppress(EndedError), resume(kept.output, kept.results, **again) as partial:
        partial.add("p0", [1])
        raise EndedError
    (model / "weights").write_text("10")
    with resume(kept.output, kept.results, **again) as partial:
        assert partial.units == {}


def test_a_full_disk_is_said_so(kept):
    with suppress(EndedError), kept.resume() as partial, open("/dev/full", "ab", 0) as full:
        partial._file = full
        with pytest.raises(UserError, match=r"cannot write .*No space left on device"):
            partial.add("p0", [1])
        raise EndedError


def draw(policy, partial=None):
    return sample_pool(
        policy,
        PROBLEMS,
        start=0,
        stop=4,
        settings=SampleSettings(Sampling(), 40, (1, "d", "p")),
        partial=partial,
    )


@pytest.mark.parametrize("done", [0, 5, 12])
def test_samples_go_on_behind_the_finished_problems(kept, done):
    whole = draw(FakePolicy(random_tree(1)))
    with suppress(EndedError), kept.resume() as partial:
        end_after(partial, done)
        draw(FakePolicy(random_tree(1)), partial)
        raise EndedError
    policy = FakePolicy(random_tree(1), order=3)
    with kept.resume() as partial:
        assert len(partial.units) == done
        pd.testing.assert_frame_equal(draw(policy, partial), whole)
    assert len(policy.requests) == len(PROBLEMS) - done


def test_scores_go_on_behind_the_finished_texts(kept, monkeypatch):
    monkeypatch.setattr("testtime.score.CHUNK", 10)
    samples = draw(FakePolicy(random_tree(1)))
    problems = pd.DataFrame([vars(problem) for problem in PROBLEMS])
    whole = score_pool(FakePrm(), problems, samples)
    with suppress(EndedError), kept.resume() as partial:
        end_after(partial, 2)
        score_pool(FakePrm(), problems, samples, partial=partial)
    prm, undisturbed = FakePrm(), FakePrm()
    score_pool(undisturbed, problems, samples)
    with kept.resume() as partial:
        pd.testing.assert_frame_equal(score_pool(prm, problems, samples, partial=partial), whole)
    assert len(undisturbed.reads) - len(prm.reads) == pytest.approx(20, abs=3)  # texts have steps


@pytest.mark.parametrize("method", names("search"))
def test_searches_go_on_behind_the_finished_trees(kept, method):
    def search(policy, done=()):
        settings = SearchSettings(
            method,
            budget=8,
            sampling=Sampling(),
            step_tokens=20,
            max_steps=6,
            max_tokens=120,
            seed_parts=(1, "d", "p", "r"),
        )
        return search_problems(policy, FakePrm(), PROBLEMS, settings, done=done)

    undisturbed = FakePolicy(random_tree(1))
    whole = to_rows(search(undisturbed))
    with suppress(EndedError), kept.resume() as partial:
        end_after(partial, 7)
        to_rows(search(FakePolicy(random_tree(1))), partial)
    policy = FakePolicy(random_tree(1), order=3)
    with kept.resume() as partial:
        assert len(partial.units) == 7
        rows = to_rows(search(policy, partial.units), partial)
    pd.testing.assert_frame_equal(rows, whole)
    assert policy.tokens < undisturbed.tokens


def test_lines_are_plain_json(kept):
    begin(kept, {"p0": [{"tokens": pd.Series([3]).iloc[0]}]})
    (file,) = kept.files()
    assert json.loads(file.read_text()) == ["p0", [{"tokens": 3}]]
    assert file.name.startswith("generations.d.p.0-4.1-of-1.")
