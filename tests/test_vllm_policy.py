"""Policies on vLLM: the text of the transformers engine, steps, seeds, contexts, company."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from test_engine_policy_sampling import requests, run
from test_engine_policy_steps import ends_after
from testtime.data.microcosm import generate_problems
from testtime.data.rows import Rows
from testtime.errors import UserError
from testtime.evaluate.statistics import accuracy_interval
from testtime.sample import Draw, SampleSettings, sample_pool
from testtime.study.catalog import load
from testtime.study.types import Problem, Request, Sampling
from testtime.think import Thinker
from tiny_policies import WORDS, ids, random_policy, scripted_policy
from transformers import AutoModelForCausalLM
from vllm_engines import forget, policy, shipped_policy

pytestmark = pytest.mark.vllm

GREEDY = Sampling(temperature=0)
ENDLESS = {word: {"a": 0.6, "b": 0.4} for word in WORDS}


@pytest.fixture(scope="module")
def problems():
    return [row["problem"] for row in generate_problems("fresh", 40, 3)]


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """Writes a and b until it is stopped."""
    return policy(scripted_policy(tmp_path_factory.mktemp("endless"), ENDLESS), context=64)


def ask(engine, problems, seeds=(0,), **options):
    """The children of every problem."""
    defaults = {"sampling": Sampling(), "stop": "end", "max_tokens": 160}
    wanted = [Request(engine.encode(p), tuple(seeds), **(defaults | options)) for p in problems]
    return run(engine, wanted)


def texts(children):
    return [[(child.token_ids, child.finish) for child in family] for family in children]


@pytest.mark.parametrize("name", ["micro-xs", "micro-s", "micro-m", "micro-l"])
@pytest.mark.parametrize("options", [{}, {"stop": "step", "max_tokens": 24}])
def test_greedy_text_is_that_of_the_transformers_engine(problems, name, options):
    both = [
        ask(shipped_policy(name, engine), problems, sampling=GREEDY, **options)
        for engine in ("transformers", "vllm")
    ]
    assert texts(both[0]) == texts(both[1])
    for families in zip(*both, strict=True):
        for one, other in zip(*families, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_forced_answers_are_what_a_run_limited_to_so_many_thinking_tokens_draws(problems):
    """A thought of 100 tokens: drawn as one trace of 256, and asked of the engine by hand."""
    spec, engine = load().policy("micro-think-xs"), shipped_policy("micro-think-xs", "vllm")
    settings = SampleSettings.of(spec, (1, "toy", "thinker"))
    draws = [Draw(Problem(p, p), settings, range(4), p) for p in problems[:10]]
    thinker = Thinker(engine, spec.thinking, Rows())
    table = thinker.to_table(draws, thinker.draw(draws, [100, 256]), [100, 256])
    forced = table[(table["thinking"] == 100) & table["forced"]]
    assert len(forced) > 10
    by_name, same = {draw.problem.problem_id: draw for draw in draws}, []
    for row in forced.to_dict("records"):
        draw, prompt = by_name[row["problem_id"]], engine.encode(row["problem_id"])
        whole = Request(prompt, (draw.seed(row["sample"]),), spec.sampling, "end", 100)
        ((thought,),) = run(engine, [whole])
        given = prompt + thought.token_ids + (thinker.marks.close, *thinker.marks.cue)
        seed = draw.seed(row["sample"], "answer", 100)
        place = {"first_position": 100}
        asked = Request(given, (seed,), spec.sampling, "end", spec.thinking.answer_tokens, **place)
        ((answer,),) = run(engine, [asked])
        same.append(row["text"] == spec.thinking.cue + engine.decode(answer.token_ids))
    assert np.mean(same) > 0.95, "a near tie may fall otherwise in another batch"


@pytest.mark.parametrize("architecture", ["llama", "llama-mha", "qwen3"])
def test_logprobs_equal_a_full_forward(architecture, tmp_path):
    folder = random_policy(tmp_path, architecture)
    plain = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    wanted = requests(5, sampling=Sampling(temperature=0.7, top_k=6))
    for request, children in zip(wanted, run(policy(folder), wanted), strict=True):
        for child in children:
            whole = torch.tensor([request.token_ids + child.token_ids])
            with torch.inference_mode():
                logprobs = plain(whole).logits[0].double().log_softmax(dim=-1)
            start = len(request.token_ids) - 1
            expected = [logprobs[start + i, token] for i, token in enumerate(child.token_ids)]
            np.testing.assert_allclose(child.logprobs, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("sampling", "chances"),
    [
        (Sampling(), [0.1, 0.2, 0.3, 0.4]),
        (Sampling(temperature=0.5), [1 / 30, 4 / 30, 9 / 30, 16 / 30]),
        (Sampling(top_k=2), [0, 0, 3 / 7, 4 / 7]),
        (Sampling(top_p=0.65), [0, 0, 3 / 7, 4 / 7]),
    ],
    ids=["plain", "temperature", "top-k", "top-p"],
)
def test_sampled_frequencies_are_the_policy_s(four, sampling, chances):
    (children,) = run(four, [Request(ids("a"), tuple(range(2000)), sampling, "end", 1)])
    counts = np.bincount([child.token_ids[0] for child in children], minlength=len(WORDS))
    counts, expected = counts[list(ids("a", "b", "c", "d"))], 2000 * np.array(chances)
    assert counts[expected == 0].sum() == 0
    assert chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 0.001


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    chances = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    return policy(scripted_policy(tmp_path_factory.mktemp("four"), dict.fromkeys(WORDS, chances)))


def test_sampled_answers_are_right_as_often_as_under_transformers():
    """Pass@1 of each engine lies in the other's 95 % interval."""
    rows = generate_problems("fresh", 80, 5)
    answers = {row["problem_id"]: row["answer"] for row in rows}
    means, intervals = [], []
    for engine in ("transformers", "vllm"):
        drawn = sample_pool(
            shipped_policy("micro-s", engine),
            [Problem(row["problem_id"], row["problem"]) for row in rows],
            start=0,
            stop=16,
            settings=SampleSettings(Sampling(), 160, (1, "fresh", "micro-s")),
        )
        right = drawn["text"].map(boxed) == drawn["problem_id"].map(answers)
        per_problem = right.groupby(drawn["problem_id"]).mean().to_numpy()
        means.append(per_problem.mean())
        intervals.append(accuracy_interval(per_problem))
    assert 0.05 < means[0] < 0.95  # so that agreement means something
    for mean, (low, high) in zip(means, intervals[::-1], strict=True):
        assert low <= mean <= high


def boxed(text: str) -> str:
    return text.rpartition("\\boxed{")[2].partition("}")[0]


def test_the_same_run_gives_the_same_numbers(problems):
    model = shipped_policy("micro-m", "vllm")
    first = ask(model, problems, seeds=range(4))
    forget(model)
    assert ask(model, problems, seeds=range(4)) == first


def test_children_differ_and_a_child_depends_on_its_own_seed_alone(problems):
    model = shipped_policy("micro-m", "vllm")
    together = texts(ask(model, problems, seeds=range(8)))
    assert sum(len(set(family)) > 1 for family in together) > 0.9 * len(together)
    alone = texts(ask(model, problems[7:8], seeds=[5]))
    other_company = texts(ask(model, problems[::-1], seeds=[5, 99]))[::-1]
    assert alone[0][0] == together[7][5]
    assert [family[0] for family in other_company] == [family[5] for family in together]


def test_the_steps_of_a_path_are_drawn_independently(endless):
    """The same seed at another position draws another text."""
    wanted = [
        Request(ids("a"), tuple(range(9)), Sampling(), "end", 30, first_position=position)
        for position in (0, 30, 0)
    ]
    first, later, again = texts(run(endless, wanted))
    assert first == again
    assert not set(first) & set(later)


def test_steps_end_where_splitting_the_text_says(tmp_path):
    likely = dict.fromkeys(WORDS[3:], 1 / 11) | {"<end>": 1 / 11}
    model = policy(scripted_policy(tmp_path, dict.fromkeys(WORDS, likely)))
    wanted = [Request(ids("a"), tuple(range(i, i + 40)), Sampling(), "step", 12) for i in (0, 99)]
    finishes = []
    for child in (child for family in run(model, wanted) for child in family):
        finishes.append(child.finish)
        end = ends_after(list(child.token_ids), SPOKEN, "\n\n")
        match child.finish:
            case "step":
                assert end == len(child.token_ids)
            case "stop":
                assert end is None
                assert child.token_ids.index(*ids("<end>")) == len(child.token_ids) - 1
            case "length":
                assert end is None
                assert len(child.token_ids) == 12
        assert len(child.logprobs) == len(child.token_ids)
    assert set(finishes) == {"step", "stop", "length"}


def test_no_token_is_drawn_past_a_step_and_none_is_handed_over_alone(problems, monkeypatch):
    model = shipped_policy("micro-s", "vllm")
    outputs, step = [], model.runtime.step

    def watched():
        outputs.extend(found := step())
        return found

    monkeypatch.setattr(model.runtime, "step", watched)
    families = ask(model, problems, seeds=range(4), stop="step", max_tokens=24)
    children = [child for family in families for child in family]
    assert {child.finish for child in children} >= {"step"}
    assert len(outputs) == len(children) == 160
    assert sum(len(drawn.token_ids) for drawn in outputs) == sum(
        len(child.token_ids) for child in children
    )


def test_a_separator_before_any_text_does_not_end_the_step(tmp_path):
    """Drawn in three parts: vLLM ends each at the separator, the step ends after a word."""
    follow = {"a": {"\n\n": 1.0}, "\n\n": {"\n\n": 0.5, "b": 0.5}, "b": {"\n\n": 1.0}}
    model = policy(scripted_policy(tmp_path, follow), context=64)
    wanted = [Request(ids("a"), tuple(range(40)), Sampling(), "step", 20)]
    (children,) = run(model, wanted)
    leading = [child.token_ids.count(*ids("\n\n")) - 1 for child in children]
    assert set(leading) >= {1, 2, 3}
    for child, count in zip(children, leading, strict=True):
        assert child.token_ids == ids(*["\n\n"] * count, "b", "\n\n")
        assert child.finish == "step"
    (short,) = run(model, [Request(ids("a"), tuple(range(40)), Sampling(), "step", 2)])
    ended = {(child.token_ids, child.finish) for child in short}
    assert ended == {(ids("\n\n", "b"), "length"), (ids("\n\n", "\n\n"), "length")}


def test_a_step_ends_at_a_token_that_vllm_was_not_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr("testtime.engines.vllm.policy.MOST_STOPS", 1)  # "\n\n", not ".\n\n"
    follow = {"a": {".\n\n": 1.0}, ".\n\n": {"b": 1.0}, "b": {"\n\n": 1.0}}
    model = policy(scripted_policy(tmp_path, follow), context=64)
    (children,) = run(model, [Request(ids("a"), (0, 1), Sampling(), "step", 20)])
    assert texts([children]) == [[(ids(".\n\n"), "step")] * 2]
    assert [len(child.logprobs) for child in children] == [1, 1]


SPOKEN = ["", "", "", *WORDS[3:]]  # special tokens are not part of a text


def test_text_ends_where_the_context_is_full(endless):
    ((child,),) = run(endless, [Request(ids("a") * 50, (0,), Sampling(), "end", 100)])
    assert (len(child.token_ids), child.finish) == (14, "length")


def test_a_path_that_fills_the_context_gets_empty_children(endless):
    request = Request(ids("a") * 64, (0, 1), Sampling(), "step", 5, first_position=9)
    assert texts(run(endless, [request])) == [[((), "length")] * 2]


def test_a_prompt_that_does_not_fit_names_tokens_and_limit(endless):
    with pytest.raises(UserError, match=r"prompt of 64 tokens; allowed: 1 to 63"):
        endless.submit(Request(ids("a") * 64, (0,), Sampling(), "end", 5))


def test_requests_without_children_or_tokens_are_answered(endless):
    nobody = Request(ids("a"), (), Sampling(), "end", 5)
    nothing = Request(ids("a"), (1, 2), Sampling(), "end", 0)
    assert texts(run(endless, [nobody, nothing])) == [[], [((), "length")] * 2]


def test_requests_may_be_submitted_while_others_run(endless):
    wanted = [Request(ids("a"), (i, i + 50), Sampling(), "end", 3 + 5 * i) for i in range(9)]
    expected = texts(run(endless, wanted))
    queue, tickets, done = list(enumerate(wanted)), {}, {}
    while queue or tickets:
        for index, request in queue[:2]:
            tickets[endless.submit(request)] = index
        del queue[:2]
        for ticket, children in endless.poll():
            done[tickets.pop(ticket)] = children
    assert texts([done[index] for index in range(9)]) == expected
    assert endless.poll() == []


def test_a_finished_request_leaves_at_once(endless):
    """One long request runs beside short ones that come and go."""
    long, *short = [
        endless.submit(Request(ids("a"), (0,), Sampling(), "end", 50 if i == 0 else 2))
        for i in range(5)
    ]
    order = [{ticket for ticket, _ in endless.poll()} for _ in range(2)]
    assert order == [set(short), {long}]


def test_a_policy_asks_and_reads_as_under_transformers(problems):
    engines = [shipped_policy("micro-s", engine) for engine in ("vllm", "transformers")]
    for problem in problems[:3]:
        prompts = {model.encode(problem) for model in engines}
        assert len(prompts) == 1
        assert len({model.decode((*prompts.copy().pop(), 1)) for model in engines}) == 1
