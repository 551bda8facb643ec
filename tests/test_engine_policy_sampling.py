"""Sampling with transformers: the same tokens as plain generation, whatever runs beside them."""

import random

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from testtime.engines.base import sample
from testtime.study.seeds import uniforms
from testtime.study.types import Request, Sampling
from tiny_policies import CONFIGS, WORDS, fed, ids, load, random_policy, scripted_policy
from transformers import AutoModelForCausalLM

GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_policy(tmp_path_factory.mktemp("llama"))


def prompts(count: int, seed: int = 0) -> list[tuple[int, ...]]:
    generator = random.Random(seed)
    lengths = [1, 2, 3, 7, 20, 40]
    return [
        tuple(generator.randrange(3, len(WORDS)) for _ in range(generator.choice(lengths)))
        for _ in range(count)
    ]


def requests(count: int, children: int = 3, **options) -> list[Request]:
    generator = random.Random(1)
    return [
        Request(
            prompt,
            tuple(generator.randrange(2**63) for _ in range(children)),
            **{"sampling": Sampling(), "stop": "end", "max_tokens": generator.choice([1, 9, 45])}
            | options,
        )
        for prompt in prompts(count)
    ]


def run(policy, wanted: list[Request]) -> list[list]:
    """Children by request."""
    done = dict(sample(policy, wanted))
    return [done[index] for index in range(len(wanted))]


def tokens(children: list[list]) -> list[list[tuple[int, ...]]]:
    return [[child.token_ids for child in family] for family in children]


@pytest.mark.parametrize("architecture", CONFIGS)
@pytest.mark.parametrize("max_rows", [1, 5])
def test_greedy_text_equals_generate_s(architecture, max_rows, tmp_path):
    folder = random_policy(tmp_path, architecture)
    plain = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    wanted = requests(6, children=2, sampling=GREEDY)
    for request, children in zip(wanted, run(load(folder, max_rows=max_rows), wanted), strict=True):
        prompt = torch.tensor([request.token_ids])
        text = plain.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=request.max_tokens,
            do_sample=False,
        )[0, prompt.shape[1] :]
        assert [list(child.token_ids) for child in children] == [text.tolist()] * 2


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "gemma2"])
def test_logprobs_equal_a_full_forward(architecture, tmp_path):
    folder = random_policy(tmp_path, architecture)
    plain = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    wanted = requests(5, sampling=Sampling(temperature=0.7, top_k=6))
    for request, children in zip(wanted, run(load(folder), wanted), strict=True):
        for child in children:
            whole = torch.tensor([request.token_ids + child.token_ids])
            with torch.inference_mode():
                logprobs = plain(whole).logits[0].double().log_softmax(dim=-1)
            start = len(request.token_ids) - 1
            expected = [logprobs[start + i, token] for i, token in enumerate(child.token_ids)]
            np.testing.assert_allclose(child.logprobs, expected, atol=1e-4)


def test_samples_do_not_depend_on_rows_or_order_or_company(folder):
    wanted = requests(12)
    expected = tokens(run(load(folder), wanted))
    for max_rows in (1, 2, 5, 13):
        assert tokens(run(load(folder, max_rows=max_rows), wanted)) == expected
    assert tokens(run(load(folder, max_rows=7), wanted[::-1])) == expected[::-1]
    alone = load(folder)
    assert [tokens(run(alone, [request]))[0] for request in wanted] == expected


def test_a_child_is_the_same_among_more_children(folder):
    families = [requests(1, children=n, max_tokens=30) for n in (2, 70)]
    few, many = (tokens(run(load(folder), family))[0] for family in families)
    assert many[:2] == few


def test_identical_runs_give_identical_numbers(folder):
    assert run(load(folder), requests(6)) == run(load(folder), requests(6))


def test_a_token_is_drawn_with_the_number_of_its_seed_and_position(tmp_path):
    folder = scripted_policy(tmp_path, {word: {"a": 0.25, "b": 0.75} for word in "ab"})
    request = Request(ids("a"), (5, 2**63 - 1), Sampling(), "end", 30, first_position=11)
    for seed, child in zip(request.seeds, run(load(folder), [request])[0], strict=True):
        numbers = uniforms(np.full(30, seed), 11 + np.arange(30))
        assert child.token_ids == ids(*("a" if number < 0.25 else "b" for number in numbers))


def test_sampled_frequencies_match_the_policy_s(tmp_path):
    chances = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    folder = scripted_policy(tmp_path, {"a": chances})
    (children,) = run(load(folder), [Request(ids("a"), tuple(range(2000)), Sampling(), "end", 1)])
    counts = np.bincount([child.token_ids[0] for child in children], minlength=len(WORDS))
    expected = [2000 * chance for chance in chances.values()]
    assert chisquare(counts[list(ids(*chances))], expected).pvalue > 0.001


def test_a_path_that_is_continued_equals_the_whole_sample(folder):
    whole = Request(prompts(1)[0], (3, 4), Sampling(), "end", 60)
    for length in (1, 2, 17):
        for seed, child in zip(whole.seeds, run(load(folder), [whole])[0], strict=True):
            if len(child.token_ids) <= length:
                continue
            prefix = whole.token_ids + child.token_ids[:length]
            rest = Request(prefix, (seed,), Sampling(), "end", 60 - length, first_position=length)
            assert run(load(folder), [rest])[0][0].token_ids == child.token_ids[length:]


def test_kinds_of_sampling_can_run_side_by_side(folder):
    kinds = [GREEDY, Sampling(), Sampling(0.5, top_k=3), Sampling(top_p=0.6)]
    wanted = [requests(1, sampling=kind, max_tokens=20)[0] for kind in kinds]
    alone = [run(load(folder), [request])[0] for request in wanted]
    assert tokens(run(load(folder), wanted)) == tokens(alone)


def test_requests_may_be_submitted_while_others_run(folder):
    wanted = requests(9)
    expected = run(load(folder), wanted)
    policy, queue, tickets, done = load(folder, max_rows=4), list(enumerate(wanted)), {}, {}
    while queue or tickets:
        for index, request in queue[:2]:
            tickets[policy.submit(request)] = index
        del queue[:2]
        for ticket, children in policy.poll():
            done[tickets.pop(ticket)] = children
    assert tokens([done[index] for index in range(9)]) == tokens(expected)
    assert policy.poll() == []


def test_a_finished_row_is_used_again_at_once(tmp_path, monkeypatch):
    """One long child holds one of two rows; short ones pass through the other."""
    folder = scripted_policy(tmp_path, {"a": {"a": 1.0}, "b": {"<end>": 1.0}})
    policy = load(folder, max_rows=2)
    shapes = fed(monkeypatch)
    long, *short = [
        policy.submit(Request(ids(word), (0,), GREEDY, "end", 50)) for word in "a" + "b" * 20
    ]
    order = []
    while finished := policy.poll():
        order += [ticket for ticket, _ in finished]
    assert order == [*short, long]
    assert len(shapes) == 50


def test_requests_without_children_or_tokens_are_answered(folder):
    policy = load(folder)
    nobody = Request(ids("a"), (), Sampling(), "end", 5)
    nothing = Request(ids("a"), (1, 2), Sampling(), "end", 0)
    children = run(policy, [nobody, nothing])
    assert children[0] == []
    assert [(child.token_ids, child.finish) for child in children[1]] == [((), "length")] * 2
