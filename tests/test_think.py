"""Policies that think: one trace per sample serves every thinking budget."""

import numpy as np
import pytest
from fakes import END, SEPARATOR, WORDS, FakePolicy
from testtime.data.rows import Rows
from testtime.engines.base import sample
from testtime.errors import UserError
from testtime.sample import Draw, SampleSettings
from testtime.study.catalog import Thinking
from testtime.study.seeds import derive
from testtime.study.thoughts import ANSWER, THOUGHT, part_stamp, part_stamps
from testtime.study.types import Problem, Request, Sampling
from testtime.think import Thinker

CLOSE, CUE, WAIT = 10, 11, 12
PIECES = {CLOSE: "</think>", CUE: "answer: ", WAIT: "wait"}
THINKING = Thinking(close="</think>", cue="answer: ", answer_tokens=20)
NUMBERS = range(6)


def thinker_policy(*, p_close=0.01, p_end=0.15, context=10_000):
    """Words until a thought closes, then words until the text ends; separators in both."""

    def next_token(ids, u):
        if u < 0.1:
            return SEPARATOR
        answering = CLOSE in ids
        if answering and u < 0.1 + p_end:
            return END
        if not answering and u < 0.1 + p_close:
            return CLOSE
        return WORDS[derive(*ids[-3:], int(u * 50)) % 3]

    return FakePolicy(next_token, pieces=PIECES, context=context)


def draws(names=("a", "bb", "ccc")):
    settings = SampleSettings(Sampling(), 1000, (7, "toy", "thinker"))
    return [Draw(Problem(name, name), settings, NUMBERS, f"stamp-{name}") for name in names]


def think(budgets, rows=None, policy=None, thinking=THINKING, wanted=None):
    """The table of all samples; the policy, which counts its tokens; the rows."""
    policy, rows = policy or thinker_policy(), Rows() if rows is None else rows
    thinker = Thinker(policy, thinking, rows)
    wanted = wanted or draws()
    traces = thinker.draw(wanted, budgets)
    return thinker.to_table(wanted, traces, budgets), policy, rows


def at(table, budget):
    own = table[table["thinking"] == budget].drop(columns="thought")
    return own.reset_index(drop=True)


@pytest.mark.parametrize("budget", [1, 16, 100, 128, 129, 300, 512])
def test_a_budget_gives_what_a_run_limited_to_it_would_have_drawn(budget):
    """One limited to T alone; and the engine asked for T tokens, then for an answer, by hand."""
    table, *_ = think(sorted({16, budget, 512}))
    alone, *_ = think([budget])
    assert at(table, budget).equals(at(alone, budget))
    policy = thinker_policy()
    for draw in draws():
        prompt = policy.encode(draw.problem.problem)
        for number in NUMBERS:
            row = alone[(alone["problem_id"] == draw.problem.problem_id)].iloc[number]
            whole = one(policy, prompt, draw.seed(number), 2000)
            thought = whole[:budget]
            if CLOSE in thought:
                assert row["text"] == policy.decode(whole[whole.index(CLOSE) + 1 :][:20])
                assert not row["forced"]
                continue
            given = prompt + thought + (CLOSE, CUE)
            answer = one(policy, given, draw.seed(number, ANSWER, budget), 20, len(thought))
            assert row["text"] == "answer: " + policy.decode(answer)
            assert row["forced"]
            assert row["tokens"] == len(thought) + len(answer), "marks and cue are given, not drawn"
            assert row["thought_tokens"] == budget


def one(policy, ids, seed, tokens, place=0):
    request = Request(ids, (seed,), Sampling(), "end", tokens, first_position=place)
    ((_, (child,)),) = sample(policy, [request])
    return child.token_ids


def test_raising_the_largest_budget_draws_only_the_continuations():
    _, first, rows = think([64, 128])
    table, second, _ = think([64, 128, 512], rows)
    _, whole, _ = think([64, 128, 512])
    assert first.tokens + second.tokens == whole.tokens
    longer = [request for request in second.requests if request.first_position >= 128]
    assert len(longer) == len(second.requests), "nothing before place 128 is drawn again"
    assert at(table, 128).equals(at(think([128])[0], 128))


def test_a_smaller_budget_draws_only_answers():
    table, _, rows = think([256])
    more, policy, _ = think([32, 256], rows)
    forced = at(more, 32)[lambda rows: rows["forced"]]
    assert policy.tokens == (forced["tokens"] - forced["thought_tokens"]).sum()
    assert all(request.max_tokens == 20 for request in policy.requests)
    assert at(more, 256).equals(at(table, 256))


def test_what_is_there_is_written_again_without_a_policy():
    table, _, rows = think([32, 256])
    again, *_ = think([32, 256], rows, policy=object())
    assert again.equals(table)


def test_a_thought_that_ended_keeps_its_own_answer_at_every_larger_budget():
    table, *_ = think([16, 64, 512])
    ended = table[~table["forced"]]
    assert 0 < len(ended) < len(table)
    columns = ["problem_id", "sample", "text", "tokens", "thought_tokens", "logprob", "finish"]
    assert len(ended[columns].drop_duplicates()) == len(ended.drop_duplicates(columns[:2]))
    assert (ended["thought_tokens"] <= ended["thinking"]).all()
    assert ended["text"].str.contains("answer: ").sum() == 0


def test_an_answer_may_go_on_beyond_its_segment_and_ends_at_its_limit():
    """A thought that closes at place 120 answers beyond 128, by at most 20 tokens."""

    def next_token(ids, u):
        return CLOSE if len(ids) == 121 else WORDS[0]

    wanted = draws(("a",))  # a prompt of one token
    table, _, rows = think([128], policy=FakePolicy(next_token, pieces=PIECES), wanted=wanted)
    assert (table["tokens"] == 121 + 20).all()
    assert (table["finish"] == "length").all()
    stamps = set(part_stamps("stamp-a", [128], 20))
    known = {part_stamp("stamp-a", THOUGHT, start) for start in (0, 128)}
    assert known <= stamps
    assert all(len(rows.of(stamp)) == len(NUMBERS) for stamp in known)


def test_a_thought_may_be_made_to_go_on():
    thinking = Thinking(close="</think>", cue="answer: ", answer_tokens=20, go_on="wait")
    table, *_ = think([64, 256], thinking=thinking, policy=thinker_policy(p_close=0.05))
    assert table["forced"].all()
    assert (table["thought_tokens"] == table["thinking"]).all()
    thoughts = table.loc[table["thinking"] == 256, "thought"]
    given = thoughts.str.count("wait").to_numpy()
    longest = table[table["thinking"] == 256]
    assert (longest["tokens"] <= 256 + 20 - given).all(), "what is given is not generated"
    assert (longest["step_ends"].map(max) <= longest["tokens"]).all()
    assert thoughts.str.contains("wait").all()
    assert not thoughts.str.contains("</think>").any()
    plain, *_ = think([64, 256], policy=thinker_policy(p_close=0.05))
    until = plain.loc[plain["thinking"] == 256, "thought"].str.removesuffix("</think>")
    assert all(long.startswith(short) for long, short in zip(thoughts, until, strict=True))


def test_a_full_context_ends_a_trace_and_its_answer_is_empty():
    table, *_ = think([512], policy=thinker_policy(p_close=0.0, context=100), wanted=draws(("a",)))
    assert table["forced"].all()
    assert (table["thought_tokens"] == 99).all()
    assert (table["text"] == "answer: ").all()


def test_a_thought_is_cut_where_its_answer_fits_into_the_context():
    policy, wanted = thinker_policy(p_close=0.0, context=100), draws(("a",))
    thinker = Thinker(policy, THINKING, Rows(), context=100)
    table = thinker.to_table(wanted, thinker.draw(wanted, [50, 512]), [50, 512])
    prompt, around = 1, 1 + 1 + 20  # the end of the thought, the cue, the answer
    cut = table[table["thinking"] == 512]
    assert (cut["thought_tokens"] == 100 - prompt - around).all()
    assert (cut["text"] != "answer: ").any()
    assert (table.loc[table["thinking"] == 50, "thought_tokens"] == 50).all()


def test_log_probabilities_are_of_the_thoughts_groups_and_the_answers_steps():
    table, *_ = think([100])
    row = table[table["forced"]].iloc[0]
    assert len(row["step_logprobs"]) == int(np.ceil(100 / 64)) + len(row["steps"])
    assert row["steps"][0].startswith("answer: ")
    drawn = row["step_logprobs"][-len(row["steps"]) :]
    assert max(drawn) < 0, "the cue, which was given, is no part of them"
    assert row["step_ends"][:2] == [64, 100]
    assert row["step_ends"][-1] == row["tokens"]
    assert len(row["step_ends"]) == len(row["step_logprobs"])


def test_an_end_of_several_tokens_is_refused():
    with pytest.raises(UserError, match=r"thinking\.close 'ab' is 2 tokens of the policy"):
        think([64], thinking=Thinking(close="ab"))
