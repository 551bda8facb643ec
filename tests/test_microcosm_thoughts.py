"""Policies that think first: thoughts are as the recipe says, and cut ones are answered."""

import hashlib
import random
from itertools import islice
from math import sqrt
from pathlib import Path

import pytest
import torch
from microcosm.data import IGNORED
from microcosm.models import count, is_thinker, save_policy
from microcosm.quality import thinker_quality
from microcosm.thoughts import CUE, Thinks, attempt, guess, think, thoughts
from microcosm.tokenizer import (
    END,
    POLICY_TOKENS,
    THINK,
    THINK_END,
    THINKER_CONTEXT,
    THINKER_TOKENS,
    WAIT,
    policy_tokenizer,
    prm_tokenizer,
    prompt,
    thinker_tokenizer,
)
from microcosm.training import policy_batches, train_policy
from testtime.data.microcosm import (
    SEPARATOR,
    compute,
    generate_problems,
    label_steps,
    split_of,
    write,
)
from transformers import AutoModelForCausalLM, AutoTokenizer

MODELS = Path(__file__).parents[1] / "workflow" / "resources" / "microcosm"
ROWS = generate_problems("fresh", 210, 0)
THINKS = Thinks(slips=[0.2, 0.05, 0.01])
TINY = {
    "hidden": 32,
    "heads": 1,
    "kv_heads": 1,
    "layers": 1,
    "steps": 4,
    "seed": 0,
    "thinks": {"slips": [0.1, 0.05]},
}
PROBLEM = "Modulo 10, start with a=5 b=2 c=7; 1. c*=8 2. a+=c"
FIRST = "(1) c:7*8 c=6\n\n(2) a:5+c:6 a=2\n\n2,2,6\n\n"  # with a slip in the second step
SECOND = f"{WAIT} a=5 b=2 c=7\n\n(1) c:7*8 c=6\n\n(2) a:5+c:6 a=1\n\n1,2,6\n\n"


def steps_of(text):
    """The steps of an attempt, without its restated start and its answer."""
    return [line for line in text.split(SEPARATOR) if line.startswith("(")]


def slipped(step):
    """Whether a step's result is not what its own operands give."""
    _, expression, result = step.split(" ")
    op = next(c for c in expression if c in "*+-")
    x, y = (int(side[-1]) for side in expression.split(op))
    return compute(op, x, y) != int(result[-1])


def test_each_attempt_slips_as_often_as_the_recipe_says():
    counts = [[0, 0] for _ in range(THINKS.attempts)]
    rng = random.Random(0)
    for row in ROWS * 10:
        for number, (text, _) in enumerate(think(row["problem"], rng, THINKS)):
            marks = [slipped(step) for step in steps_of(text)]
            counts[number][0] += sum(marks)
            counts[number][1] += len(marks)
    for number, (wrong, steps) in enumerate(counts):
        slip = THINKS.slips[min(number, 2)]
        assert abs(wrong / steps - slip) < 4 * sqrt(slip * (1 - slip) / steps)


def test_an_attempt_without_slips_is_right():
    for row in ROWS:
        steps, answer = attempt(row["problem"], random.Random(0), 0.0)
        assert all(label_steps(row["problem"], steps))
        assert answer == row["answer"]


def test_a_slip_is_always_a_wrong_result():
    steps, _ = attempt(PROBLEM, random.Random(0), 1.0)
    assert all(slipped(step) for step in steps)


@pytest.mark.parametrize(("stop", "agree", "attempts"), [(1.0, 1.0, 1), (0.0, 1.0, 2), (0, 0, 4)])
def test_a_thought_ends_as_its_recipe_says(stop, agree, attempts):
    thinks = Thinks(slips=[0.0], stop=stop, agree=agree, attempts=4)
    assert len(think(PROBLEM, random.Random(0), thinks)) == attempts


def test_a_thought_stops_at_once_only_if_its_answer_came_up_before():
    thinks = Thinks(slips=[0.3], stop=0.0, agree=1.0, attempts=5)
    for row in ROWS:
        answers = [answer for _, answer in think(row["problem"], random.Random(1), thinks)]
        assert len(set(answers[:-1])) == len(answers) - 1
        assert len(answers) == 5 or answers[-1] in answers[:-1]


def test_later_attempts_restate_the_start():
    thinks = Thinks(slips=[0.0], stop=0.0)
    (first, _), (second, _) = think(PROBLEM, random.Random(0), thinks)
    assert not first.startswith(WAIT)
    assert second.startswith(f"{WAIT} a=5 b=2 c=7{SEPARATOR}(1) ")


@pytest.mark.parametrize(
    ("thought", "answer"),
    [
        ("", "5,2,7"),
        ("(1) c:7*8 c=", "5,2,7"),
        ("(1) c:7*8 c=6", "5,2,6"),
        (FIRST.removesuffix("2,2,6\n\n"), "2,2,6"),
        (FIRST, "2,2,6"),
        (FIRST + SECOND[:40], "2,2,6"),
        (FIRST + SECOND.removesuffix(",6\n\n"), "2,2,6"),
        (FIRST + SECOND.removesuffix("\n\n"), "1,2,6"),
        (FIRST + SECOND, "1,2,6"),
        (FIRST + SECOND + WAIT, "1,2,6"),
    ],
)
def test_a_cut_thought_is_answered_by_what_is_known(thought, answer):
    assert guess(PROBLEM, thought) == answer


def examples(cut, n=100):
    tokenizer = thinker_tokenizer()
    feed = thoughts("train", 0, Thinks(slips=THINKS.slips, cut=cut))
    for example in islice(feed, n):
        text = tokenizer.decode(example.ids)
        problem, _, rest = text.partition(f"\n{THINK}")
        thought, _, answer = rest.partition(THINK_END)
        yield example, problem, thought, answer


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_the_completion_is_learned_but_not_where_a_budget_cuts_it(cut):
    end = THINKER_TOKENS.index(THINK_END)
    for example, problem, *_ in examples(cut):
        head = len(thinker_tokenizer()(prompt(problem))["input_ids"])
        assert example.labels[:head] == [IGNORED] * head
        learned = [IGNORED if cut and i == end else i for i in example.ids[head:]]
        assert example.labels[head:] == learned


def test_stopping_or_not_and_the_answer_weigh_more_than_the_rest():
    for example, _, thought, answer in examples(0.0, 20):
        heavy = sum(weight > 1 for weight in example.weights)
        assert heavy == thought.count(WAIT) + 1 + len(thinker_tokenizer()(answer)["input_ids"])


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_every_example_is_answered_by_its_thought(cut):
    for _, problem, thought, answer in examples(cut):
        assert split_of(problem) == "train"
        assert answer == f"{CUE}{guess(problem, thought)}}}{END}"


def test_examples_have_known_tokens_and_fit_the_context():
    for example, *_ in examples(0.3, 500):
        assert POLICY_TOKENS.index("<unk>") not in example.ids
        assert len(example.ids) <= THINKER_CONTEXT


def test_thoughts_round_trip_through_a_saved_tokenizer(tmp_path):
    thinker_tokenizer().save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    text = f"{prompt(PROBLEM)}{THINK}{FIRST}{SECOND}{THINK_END}{CUE}1,2,6}}{END}"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids, skip_special_tokens=True) == text.removesuffix(END)
    assert [ids.count(THINKER_TOKENS.index(t)) for t in (THINK, THINK_END, WAIT)] == [1, 1, 1]
    assert tokenizer.model_max_length == THINKER_CONTEXT


def test_thinkers_share_the_policies_ids():
    steps = SEPARATOR.join(write(PROBLEM, random.Random(0), compute))
    text = prompt(PROBLEM) + steps
    assert thinker_tokenizer()(text)["input_ids"] == policy_tokenizer()(text)["input_ids"]


@pytest.mark.parametrize(
    ("name", "tokenizer"),
    [
        ("micro-m", policy_tokenizer()),
        ("micro-prm-good", prm_tokenizer("qwen2.5-math-prm")),
        ("micro-prm-weak", prm_tokenizer("math-shepherd")),
    ],
)
def test_other_models_keep_their_tokenizers(name, tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        one, two = (
            hashlib.sha256((folder / file).read_bytes()).hexdigest()
            for folder in (tmp_path, MODELS / name)
        )
        assert one == two


@pytest.fixture(scope="module")
def thinker():
    torch.set_num_threads(1)
    return train_policy(TINY)


def test_a_thinker_learns_clean_arithmetic_first():
    """The recipe's slips make no difference to the first three of four steps."""
    recipes = [TINY | {"thinks": {"slips": [slip], "clean": 0.75}} for slip in (0.0, 1.0)]
    read = []
    for recipe in recipes:
        feed = policy_batches(recipe)
        read.append([torch.cat([ids.flatten() for ids, *_ in next(feed)]) for _ in range(4)])
    same = [torch.equal(one, two) for one, two in zip(*read, strict=True)]
    assert same == [True, True, True, False]


def test_a_trained_thinker_is_saved_with_its_own_tokenizer(thinker, tmp_path):
    assert is_thinker(thinker)
    save_policy(thinker, tmp_path, "# tiny\n")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert count(loaded) == count(thinker)
    assert loaded.config.max_position_embeddings == THINKER_CONTEXT
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.convert_tokens_to_ids(WAIT) == THINKER_TOKENS.index(WAIT)


def test_quality_has_a_row_per_budget_and_its_own_end(thinker):
    quality = thinker_quality(thinker, n=7, samples=4, budgets=(0, 8))
    assert [r["thinking tokens"] for r in quality["budgets"]] == [0, 8, "own end"]
    assert [r["cut"] for r in quality["budgets"]][-1] == 0
    assert list(quality["levels"][0]) == ["thinking tokens", *(f"k = {k}" for k in range(2, 9))]


@pytest.fixture(scope="module", params=["micro-think-xs", "micro-think-s", "micro-think-m"])
def shipped(request):
    torch.set_num_threads(1)
    return MODELS / request.param, AutoModelForCausalLM.from_pretrained(MODELS / request.param)


def test_cards_say_how_thoughts_were_made_and_how_the_model_is_rebuilt(shipped):
    folder, model = shipped
    card = (folder / "README.md").read_text()
    assert f"{count(model)[0]:,}" in card
    assert f"thinking-from-scratch.yaml RESULTS/models/{folder.name}" in card
    assert "| own end |" in card


def test_more_thinking_gives_better_answers(shipped):
    _, model = shipped
    quality = thinker_quality(model, n=28, samples=4, budgets=(16, 64))
    little, more, own = (row["pass@1"] for row in quality["budgets"])
    assert quality["ended"] > 0.9
    assert little + 0.1 < more < own - 0.1
