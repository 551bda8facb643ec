from dataclasses import replace

import pandas as pd
import pytest
from fakes import END, SEPARATOR, FakePolicy, random_tree
from testtime.engines.steps import StepReader
from testtime.sample import SampleSettings, sample_pool
from testtime.study.catalog import PolicySpec
from testtime.study.seeds import derive
from testtime.study.types import Problem, Sampling

PROBLEMS = [Problem(f"p{i}", f"problem {i}") for i in range(5)]


def draw(policy=None, problems=PROBLEMS, start=0, stop=8, progress=None, **changes):
    settings = replace(SampleSettings(Sampling(), 30, (7, "dataset", "policy")), **changes)
    policy = policy or FakePolicy(random_tree(1))
    return sample_pool(policy, problems, settings, start=start, stop=stop, progress=progress)


def test_blocks_and_shards_are_parts_of_one_pool():
    whole = draw()
    blocks = pd.concat([draw(start=0, stop=2), draw(start=2, stop=8)])
    blocks = blocks.sort_values(["problem_id", "sample"], ignore_index=True)
    pd.testing.assert_frame_equal(blocks, whole)
    shards = pd.concat([draw(problems=PROBLEMS[k::2]) for k in range(2)])
    shards = shards.sort_values(["problem_id", "sample"], ignore_index=True)
    pd.testing.assert_frame_equal(shards, whole)


def test_every_sample_has_a_seed_of_its_own():
    rows = draw()
    assert rows["seed"].is_unique
    expected = [
        derive(7, "dataset", "policy", p, "pool", i)
        for p, i in zip(rows["problem_id"], rows["sample"], strict=True)
    ]
    assert rows["seed"].tolist() == expected


def test_held_out_samples_are_not_the_pool():
    assert set(draw(label="difficulty")["seed"]).isdisjoint(draw()["seed"])


def test_a_policys_entry_says_how_it_is_drawn_and_chain_of_thought_is_greedy():
    spec = PolicySpec("p", 1, temperature=0.7, top_p=0.9, top_k=5, max_tokens=9, separator="; ")
    pool, difficulty, cot = (
        SampleSettings.of(spec, (7,), label) for label in ("pool", "difficulty", "cot")
    )
    assert pool == SampleSettings(Sampling(0.7, 0.9, 5), 9, (7,), "pool", "; ")
    assert difficulty == replace(pool, label="difficulty")
    assert cot == replace(pool, label="cot", sampling=Sampling(0))


def test_rows_describe_the_samples():
    policy = FakePolicy(random_tree(1, words=4))
    for row in draw(policy).itertuples():
        child = policy.generate(
            policy.encode(f"problem {row.problem_id[1:]}"),
            row.seed,
            stop="end",
            max_tokens=30,
            first_position=0,
        )
        assert (row.tokens, row.finish) == (len(child.token_ids), child.finish)
        assert row.text == policy.decode(child.token_ids)
        assert row.logprob == pytest.approx(sum(child.logprobs) / len(child.logprobs))
        assert row.steps == [s for s in row.text.split("\n\n") if s]
        assert len(row.step_logprobs) == len(row.steps)
        for i, end in enumerate(row.step_ends):
            written = policy.decode(child.token_ids[:end])
            assert [s for s in written.split("\n\n") if s] == row.steps[: i + 1]
        assert row.prompt_tokens == len("problem 0")


def test_a_sample_that_runs_out_of_tokens_is_kept_unfinished():
    rows = draw(FakePolicy(lambda ids, u: 2), max_tokens=9)
    assert set(rows["finish"]) == {"length"}
    assert set(rows["tokens"]) == {9}


def test_samples_without_any_step_keep_their_row():
    rows = draw(FakePolicy(lambda ids, u: END))
    assert len(rows) == len(PROBLEMS) * 8
    assert all(steps == [] for steps in rows["steps"])


def test_an_empty_block_has_the_columns_of_a_full_one():
    empty, full = draw(start=4, stop=4), draw()
    assert list(empty.columns) == list(full.columns)
    assert empty["seed"].dtype == full["seed"].dtype


def test_an_engine_that_loses_a_request_is_an_error_not_a_hang():
    policy = FakePolicy(random_tree(1))
    policy.poll = list
    with pytest.raises(RuntimeError, match="lost 5 requests"):
        draw(policy)


def test_progress_counts_samples():
    class Bar:
        done = 0

        def update(self, n=1):
            self.done += n

    bar = Bar()
    draw(progress=bar)
    assert bar.done == len(PROBLEMS) * 8


class Pieces:
    """A tokenizer whose tokens are whole pieces of text."""

    def __init__(self, *pieces):
        self.pieces = pieces

    def decode(self, token_ids):
        return "".join(self.pieces[i] for i in token_ids)


@pytest.mark.parametrize(
    ("pieces", "steps"),
    [
        (["a", ".\n\n", "b"], ["a.", "b"]),  # the separator merged with what stands before it
        (["a.\n", "\nb"], ["a.", "b"]),  # the separator over two tokens, the next step in its last
        (["a", "\n", "\n", "b"], ["a", "b"]),
        (["a", "\n\n\n\n", "b", "\n\n"], ["a", "b"]),  # bare and trailing separators make no step
        (["a", "\n\n", " ", "\n\n", "b"], ["a", "b"]),  # nor does blank text
        (["a", "\n", "b"], ["a\nb"]),
        ([" a", "\n\n", " b"], [" a", " b"]),  # a step keeps its own blanks
        ([], []),
    ],
)
def test_steps_are_found_however_tokens_cut_the_text(pieces, steps):
    ids = tuple(range(len(pieces)))
    found = StepReader(Pieces(*pieces), "\n\n").steps(ids, [-1.0] * len(pieces))
    assert [step.text for step in found] == steps


def test_a_steps_log_probability_is_the_mean_over_its_tokens_and_separator():
    policy = FakePolicy(random_tree(1))
    found = StepReader(policy, "\n\n").steps((2, 3, SEPARATOR, 4, END), [-1, -2, -3, -4, -6])
    assert [step.logprob for step in found] == [-2, -5]
