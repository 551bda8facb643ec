"""The microcosm's tokenizers: exact round trips, one separator token, PRM texts without gaps."""

import random

import pytest
from testtime.microcosm.tokenizer import (
    POLICY_TOKENS,
    PRM_TOKENS,
    SHEPHERD_TAG,
    STEP_TAG,
    UNKNOWN,
    policy_tokenizer,
    prm_tokenizer,
    prompt,
)
from testtime.microcosm.world import SEPARATOR, generate_problems, solution
from transformers import AutoTokenizer

ROWS = generate_problems("fresh", 60, 0)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    policy_tokenizer().save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def prm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prm")
    prm_tokenizer().save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def texts(row):
    steps = solution(row["problem"], random.Random(1))
    return row["problem"], steps


def test_encoding_and_decoding_give_the_text_back(policy):
    for row in ROWS:
        problem, steps = texts(row)
        text = prompt(problem) + SEPARATOR.join(steps)
        ids = policy(text)["input_ids"]
        assert policy.decode(ids) == text
        assert policy.unk_token_id not in ids


def test_the_chat_template_gives_the_prompt(policy):
    turns = [{"role": "user", "content": ROWS[0]["problem"]}]
    made = policy.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert made == prompt(ROWS[0]["problem"])


def test_the_separator_is_one_token(policy):
    assert len(policy(SEPARATOR)["input_ids"]) == 1


def test_end_and_padding_are_known(policy):
    assert policy.eos_token_id == POLICY_TOKENS.index("<end>")
    assert policy.pad_token_id == POLICY_TOKENS.index("<pad>")


def test_prms_share_the_policies_ids():
    assert PRM_TOKENS[: len(POLICY_TOKENS)] == POLICY_TOKENS


def qwen(problem, steps, tokenizer):
    turns = [
        {"role": "system", "content": "Please reason step by step."},
        {"role": "user", "content": problem},
        {"role": "assistant", "content": "".join(s + STEP_TAG for s in steps)},
    ]
    return tokenizer.apply_chat_template(turns, tokenize=False)


def shepherd(problem, steps, tokenizer):
    return f"{problem} " + "".join(f"{step}{SHEPHERD_TAG}\n" for step in steps)


@pytest.mark.parametrize(("form", "tag"), [(qwen, STEP_TAG), (shepherd, SHEPHERD_TAG)])
def test_prm_texts_have_one_tag_per_step_and_nothing_unknown(prm, form, tag):
    for row in ROWS:
        problem, steps = texts(row)
        ids = prm(form(problem, steps, prm), add_special_tokens=False)["input_ids"]
        assert ids.count(PRM_TOKENS.index(tag)) == len(steps)
        assert PRM_TOKENS.index(UNKNOWN) not in ids


@pytest.mark.parametrize("form", [qwen, shepherd])
def test_fewer_steps_encode_to_a_prefix(prm, form):
    for row in ROWS:
        problem, steps = texts(row)
        whole = prm(form(problem, steps, prm), add_special_tokens=False)["input_ids"]
        for k in range(1, len(steps)):
            part = prm(form(problem, steps[:k], prm), add_special_tokens=False)["input_ids"]
            assert whole[: len(part)] == part


@pytest.mark.parametrize("form", [qwen, shepherd])
def test_a_prm_reads_the_policys_tokens_with_tags_for_separators(policy, prm, form):
    """The frozen layers of a PRM then see what they learned to continue."""
    for row in ROWS:
        problem, steps = texts(row)
        read = prm(form(problem, steps, prm), add_special_tokens=False)["input_ids"]
        known = policy(prompt(problem) + SEPARATOR.join(steps) + SEPARATOR)["input_ids"]
        tags = {PRM_TOKENS.index(STEP_TAG), PRM_TOKENS.index(SHEPHERD_TAG)}
        separator = POLICY_TOKENS.index(SEPARATOR)
        assert [separator if i in tags else i for i in read] == known
