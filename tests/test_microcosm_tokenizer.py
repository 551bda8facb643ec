"""The microcosm's tokenizers: exact round trips, one separator token, PRM texts without gaps."""

import random

import pytest
from microcosm.models import TAGS
from microcosm.tokenizer import (
    POLICY_TOKENS,
    PRM_TOKENS,
    SHEPHERD_TAG,
    STEP_TAG,
    UNKNOWN,
    policy_tokenizer,
    prm_tokenizer,
    prompt,
)
from testtime.data.microcosm import SEPARATOR, compute, generate_problems, write
from transformers import AutoTokenizer, LlamaConfig, Qwen2Config

ROWS = generate_problems("fresh", 60, 0)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    policy_tokenizer().save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def texts(row):
    steps = write(row["problem"], random.Random(1), compute)
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


def tokenizer_of(form, folder):
    """As AutoTokenizer loads it beside a model of the form's architecture."""
    prm_tokenizer(form).save_pretrained(folder)
    config = Qwen2Config() if form == "qwen2.5-math-prm" else LlamaConfig()
    config.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def laid_out(form, problem, steps, tokenizer):
    """The text that a PRM of this form reads."""
    if form == "math-shepherd":
        return f"{problem} " + "".join(f"{step}{SHEPHERD_TAG}\n" for step in steps)
    turns = [
        {"role": "system", "content": "Please reason step by step."},
        {"role": "user", "content": problem},
        {"role": "assistant", "content": "".join(s + STEP_TAG for s in steps)},
    ]
    return tokenizer.apply_chat_template(turns, tokenize=False)


@pytest.fixture(params=["qwen2.5-math-prm", "math-shepherd"])
def reading(request, tmp_path):
    """The form's tag and a function from (problem, steps) to token ids."""
    tokenizer = tokenizer_of(request.param, tmp_path)

    def read(problem, steps):
        text = laid_out(request.param, problem, steps, tokenizer)
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    return PRM_TOKENS.index(TAGS[request.param]), read


def test_prm_texts_have_one_tag_per_step_and_nothing_unknown(reading):
    tag, read = reading
    for row in ROWS:
        ids = read(*texts(row))
        assert ids.count(tag) == row["level"] + 1
        assert PRM_TOKENS.index(UNKNOWN) not in ids


def test_fewer_steps_encode_to_a_prefix(reading):
    _, read = reading
    for row in ROWS:
        problem, steps = texts(row)
        whole = read(problem, steps)
        for k in range(1, len(steps)):
            part = read(problem, steps[:k])
            assert whole[: len(part)] == part


def test_a_prm_reads_the_policys_tokens_with_tags_for_separators(policy, reading):
    """The frozen layers of a PRM then see what they learned to continue."""
    tag, read = reading
    separator = POLICY_TOKENS.index(SEPARATOR)
    for row in ROWS:
        problem, steps = texts(row)
        known = policy(prompt(problem) + SEPARATOR.join(steps) + SEPARATOR)["input_ids"]
        assert [separator if i == tag else i for i in read(problem, steps)] == known
