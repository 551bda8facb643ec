"""Latency: what of a run must wait for what, and the seconds that it takes on a GPU alone."""

from dataclasses import replace
from itertools import combinations, pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from testtime.evaluate.depth import at_once, expected_max, with_tree_depth
from testtime.evaluate.rules import rounds
from testtime.study import rates
from testtime.study.catalog import load
from testtime.study.methods import METHODS
from testtime.study.speed import Depth, Speed
from tiny_pool import NO_SCORES, NO_SEARCH, PROMPT, SPEEDS, evaluate, frames, grade

KNOWN = load()
H100 = KNOWN.gpu("h100")
OWN, READER = SPEEDS["p"], SPEEDS["good"]
LENGTHS = {"a": [10, 20, 20, 30], "b": [5, 6, 7, 7]}


@pytest.mark.parametrize("k", range(1, 8))
def test_the_longest_of_k_is_the_mean_over_all_subsets(k):
    values = np.random.default_rng(1).integers(1, 9, (5, 7)).astype(float)
    subsets = [np.mean([max(chosen) for chosen in combinations(row, k)]) for row in values]
    assert expected_max(values, k) == pytest.approx(subsets)


def test_samples_at_once_read_each_other_s_keys_in_no_step():
    """By hand: 2 and 4 tokens after a prompt of 3; the first token reads 3 + 1, and so on."""
    depth = at_once(np.array([[2.0, 4.0]]), np.array([3.0]), 2)
    assert depth.steps == [4]
    assert depth.read == [(4 + 5) + (4 + 5 + 6 + 7)]
    assert depth.held == [(3 + 2) + (3 + 4)]


def seconds(speed, steps, read, tokens):
    """The roofline in one line."""
    moved = max(steps * speed.weights_s + read * speed.kv_s, tokens * speed.token_s)
    return moved + steps * speed.step_s + tokens * speed.row_s


@pytest.fixture(scope="module")
def outcomes():
    generations, scores, grades = frames()
    methods = ["cot", "majority", "best_of_n", "adaptive_consistency", "doubling"]
    rows = evaluate(generations, scores, NO_SEARCH, grades, methods=methods)
    return rows.set_index(["method", "vote", "scoring", "budget", "problem_id"]).sort_index()


def read_by(lengths):
    return sum(n * PROMPT + n * (n + 1) / 2 for n in lengths)


@pytest.mark.parametrize("problem", ["a", "b"])
def test_samples_of_a_vote_are_drawn_at_once(outcomes, problem):
    lengths = LENGTHS[problem]
    pairs = list(combinations(lengths, 2))
    steps = np.mean([max(pair) for pair in pairs])
    read, tokens = np.mean([read_by(pair) for pair in pairs]), np.mean([sum(p) for p in pairs])
    row = outcomes.loc[("majority", "majority", "none", 2, problem)]
    assert row["latency_s"] == pytest.approx(seconds(OWN, steps, read, tokens))
    assert row["kv_gb"] == pytest.approx((2 * PROMPT + tokens) * 1000 / 1e9)


def test_a_prm_reads_when_all_are_drawn(outcomes):
    plain = outcomes.loc[("majority", "majority", "none", 4, "b")]
    row = outcomes.loc[("best_of_n", "max", "last", 4, "b")]
    tokens = row["prm_tokens"]
    reading = max(READER.weights_s, tokens * READER.token_s) + READER.step_s
    assert row["latency_s"] == pytest.approx(plain["latency_s"] + reading)


@pytest.mark.parametrize("name", ["adaptive_consistency", "doubling"])
def test_rounds_of_a_rule_wait_for_each_other(outcomes, name):
    lengths, sizes = LENGTHS["a"], list(rounds(METHODS[name], 4))
    _, _, grades = frames()
    own = grades[(grades["method"] == "pool") & (grades["problem_id"] == "a")]
    answers = own.sort_values("path")["answer_class"].tolist()
    steps, read, held, tokens = [], [], [], []
    for order in permutations(range(4)):
        n = stop([answers[i] for i in order], sizes)
        ends = [0, *(size for size in sizes if size <= n)]
        parts = [[lengths[i] for i in order[a:b]] for a, b in pairwise(ends)]
        steps.append(sum(map(max, parts)))
        held.append(max(sum(part) + PROMPT * len(part) for part in parts))
        flat = [length for part in parts for length in part]
        read.append(read_by(flat))
        tokens.append(sum(flat))
    row = outcomes.loc[(name, "majority", "none", 4, "a")]
    expected = seconds(OWN, np.mean(steps), np.mean(read), np.mean(tokens))
    assert row["latency_s"] == pytest.approx(expected)
    assert row["kv_gb"] == pytest.approx(np.mean(held) * 1000 / 1e9)


def stop(answers, sizes):
    """Of at most four votes none is ahead with 95 % but four of one answer against none."""
    for size in sizes:
        votes = [answers[:size].count(answer) for answer in (0, 1)]
        if max(votes) >= 4 and min(votes) == 0:
            return size
    return len(answers)


def test_waiting_for_each_sample_saves_tokens_and_costs_seconds():
    """Twelve equal answers: adaptive consistency stops at the fourth, one after the other."""
    rows = [
        {"problem_id": "a", "block": "0-12", "sample": i, "text": "x", "tokens": 50}
        | {"logprob": -0.1, "step_logprobs": [-0.1], "prompt_tokens": PROMPT}
        for i in range(12)
    ]
    grades = [grade("pool", "none", 0, "a", i, 0, True) for i in range(12)]
    frame = pd.DataFrame(grades).astype({"correct": "boolean"})
    methods = ["majority", "adaptive_consistency", "doubling"]
    found = evaluate(
        pd.DataFrame(rows), NO_SCORES, NO_SEARCH, frame, methods=methods, pool_budgets=[12]
    ).set_index("method")
    assert found.loc["adaptive_consistency", "policy_tokens"] == 4 * 50
    assert found.loc["doubling", "policy_tokens"] == 4 * 50
    latency, tokens = found["latency_s"], found["policy_tokens"]
    assert tokens["adaptive_consistency"] < tokens["majority"]
    assert latency["majority"] < latency["doubling"] < latency["adaptive_consistency"]
    steps = {"majority": 50, "doubling": 150, "adaptive_consistency": 200}
    for name, depth in steps.items():
        read = read_by([50] * (int(tokens[name]) // 50))
        assert latency[name] == pytest.approx(seconds(OWN, depth, read, tokens[name]))


def tree(**changes):
    """Two kept paths and a pruned candidate of one tree, of whose steps none are stored."""
    shared = {"method": "beam_search", "prm": "good", "budget": 4, "problem_id": "a", "subtree": 0}
    shared |= {"widths": [4, 4], "prompt_tokens": 10, "tree_policy_tokens": 40} | changes
    rows = [
        {"steps": ["ab", "cdef"], "tokens": 12, "kept": True},  # 4 and 8 tokens
        {"steps": ["abcd", "ef"], "tokens": 9, "kept": True},  # 6 and 3 tokens
        {"steps": [], "tokens": 11, "kept": False},
    ]
    return pd.DataFrame([shared | row for row in rows])


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 6 + 8),  # the longest at each place
        ({"tree_policy_tokens": 80}, 80 / 8 * 2),  # what was dropped was longer
        ({"steps": [["ab"], ["a"], []], "tokens": [3, 2, 19]}, 19),  # the longest path was pruned
    ],
)
def test_a_tree_is_as_deep_as_what_is_stored_of_it(changes, steps):
    tokens = changes.get("tree_policy_tokens", 40)
    rows = tree(tree_policy_tokens=tokens)
    rows = rows.assign(**{k: v for k, v in changes.items() if k != "tree_policy_tokens"})
    found = with_tree_depth(rows)
    assert (found["tree_steps"] == steps).all()
    mean = rows["tokens"].mean()
    assert found["tree_read"].to_numpy() == pytest.approx(tokens * (10 + (mean + 1) / 2))
    assert found["tree_held"].to_numpy() == pytest.approx(4 * (10 + mean))
    assert (found["tree_calls"] == 2).all()


def test_trees_do_not_mix():
    both = pd.concat([tree(), tree(subtree=1, widths=[4]), tree(problem_id="b")])
    found = with_tree_depth(both.reset_index(drop=True))
    assert found["tree_calls"].tolist() == [2] * 3 + [1] * 3 + [2] * 3
    assert set(found["tree_steps"]) == {14}


def test_a_search_stored_without_what_it_takes_has_no_latency():
    assert with_tree_depth(tree().drop(columns="widths"))["tree_steps"].isna().all()


def test_samples_of_unknown_length_have_no_latency():
    generations, scores, grades = frames()
    rows = evaluate(generations.assign(tokens=np.nan), scores, NO_SEARCH, grades)
    assert rows[["latency_s", "kv_gb"]].isna().all(axis=None)


def test_what_is_unknown_of_a_model_is_missing():
    generations, scores, grades = frames()
    rows = evaluate(generations, scores, NO_SEARCH, grades, speeds={})
    assert rows[["latency_s", "kv_gb"]].isna().all(axis=None)
    speeds = SPEEDS | {"p": replace(OWN, kv_bytes=None)}
    rows = evaluate(generations, scores, NO_SEARCH, grades, speeds=speeds)
    assert rows["kv_gb"].isna().all()
    assert rows["latency_s"].notna().all()


@pytest.mark.parametrize(
    "speed", [OWN, rates.speed(KNOWN.policy("qwen2.5-7b-instruct"), H100, "vllm")]
)
def test_more_samples_are_never_faster(speed):
    tokens = np.random.default_rng(2).integers(20, 3000, (3, 64)).astype(float)
    prompt = np.full(3, 150.0)
    took = [
        speed.drawing_s(at_once(tokens, prompt, k), k * tokens.mean(axis=1)) for k in range(1, 65)
    ]
    assert (np.diff(took, axis=0) > 0).all()


def drawn(speed, rows, tokens, prompt):
    """Seconds of equal samples, drawn at once."""
    lengths = np.full((1, rows), float(tokens))
    depth = at_once(lengths, np.array([float(prompt)]), rows)
    return speed.drawing_s(depth, lengths.sum(axis=1))[0]


@pytest.mark.parametrize("name", ["qwen2.5-7b-instruct", "llama-3.1-8b-instruct"])
@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_sixteen_samples_take_hardly_longer_than_one(name, engine):
    speed = rates.speed(KNOWN.policy(name), H100, engine)
    one, many = drawn(speed, 1, 500, 200), drawn(speed, 16, 500, 200)
    assert one < many < 1.1 * one


def test_one_sample_of_7b_weights_moves_them_once_a_token():
    spec = KNOWN.policy("qwen2.5-7b-instruct")
    speed = rates.speed(spec, H100, "vllm")
    moved = (2 * 7.62e9 + 57344 * (200 + 501 / 2)) / (0.6 * 3350e9)
    assert drawn(speed, 1, 500, 200) == pytest.approx(500 * (moved + 0.004 + 1e-5))


def test_traffic_of_keys_and_values_grows_with_the_context():
    speed = rates.speed(KNOWN.policy("llama-3.1-8b-instruct"), H100, "vllm")
    per_token = [drawn(speed, 64, n, 200) / n for n in (500, 4_000, 32_000)]
    assert per_token[0] < per_token[1] < per_token[2]
    # 64 sequences of 16,000 tokens in the mean move eight times what the weights are.
    ratio = 64 * (200 + 32_001 / 2) * 131072 / (2 * 8.03e9)
    assert ratio > 8
    assert per_token[2] > 5 * per_token[0]


def test_a_large_batch_computes_longer_than_it_moves():
    speed = Speed(weights_s=1e-3, kv_s=0.0, token_s=1e-5, step_s=0.0, row_s=0.0)
    assert drawn(speed, 50, 10, 5) == pytest.approx(10 * 1e-3)
    assert drawn(speed, 200, 10, 5) == pytest.approx(10 * 200 * 1e-5)


def test_a_prm_reads_by_its_arithmetic_unless_its_weights_take_longer():
    depth = Depth(*(np.array([value]) for value in (1.0, 1.0, 1.0, 3.0)))
    for tokens, working in ((10.0, 3 * 0.05), (1e4, 1e4 * 1e-4)):
        found = READER.reading_s(depth, np.array([tokens]))
        assert found == pytest.approx(working + 3 * 2e-3)


def test_a_measured_rate_makes_every_part_slower():
    spec = KNOWN.policy("qwen2.5-7b-instruct")
    half = replace(spec, rate=rates.drawing(spec, H100, "vllm") / 2)
    expected = rates.speed(spec, H100, "vllm")
    found = rates.speed(half, H100, "vllm")
    for name in ("weights_s", "kv_s", "token_s", "step_s", "row_s"):
        assert getattr(found, name) == pytest.approx(2 * getattr(expected, name)), name
    assert found.kv_bytes == expected.kv_bytes
    prm = KNOWN.prm("qwen2.5-math-prm-7b")
    fast = replace(prm, rate=4 * rates.reading(prm, H100))
    ratio = rates.speed(fast, H100, "vllm").token_s / rates.speed(prm, H100, "vllm").token_s
    assert ratio == pytest.approx(1 / 4)


def test_a_model_of_the_cpu_is_put_on_a_gpu_on_paper():
    spec = KNOWN.policy("micro-m")
    assert spec.gpus == 0
    assert spec.rate
    speed = rates.speed(spec, H100, "transformers")
    assert speed.weights_s == pytest.approx(4 * 126848 / (0.6 * 3350e9))
    assert speed.step_s == 0.03
