"""Where a step ends: separators of their own, inside tokens, across tokens, leading, endless."""

import json
import random
import re

import pytest
from testtime.engines.base import sample
from testtime.engines.steps import StepEnds, token_texts
from testtime.study.types import Request, Sampling
from tiny_policies import WORDS, ids, load, scripted_policy
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

GREEDY = Sampling(temperature=0)


def ends_after(tokens: list[int], texts: list[str], separator: str) -> int | None:
    """Number of tokens after which some text before a separator is visible, by splitting."""
    for n in range(1, len(tokens) + 1):
        parts = "".join(texts[token] for token in tokens[:n]).split(separator)
        if any(part.strip() for part in parts[:-1]):
            return n
    return None


def automaton_ends_after(tokens: list[int], ends: StepEnds) -> int | None:
    state = 0
    for n, token in enumerate(tokens, 1):
        if ends.ends[state, token]:
            return n
        state = ends.following[state, token]
    return None


@pytest.mark.parametrize(
    ("separator", "texts"),
    [
        ("\n\n", ["", "a", " ", "\n", "\n\n", ".\n\n", "a\n", "\nb", "\n\n\n", "x\n\ny", "\n \n"]),
        (" ки", ["", " ", "к", "и", "ки", " ки", "x к", "и y", " кк", " к", "xy"]),
        ("aab", ["", "a", "b", "ab", "aa", "aaa", "ba", "aab", " ", "c"]),
        ("\n", ["", "a", "\n", " \n", "b\n", "\n\n"]),
    ],
)
def test_steps_end_where_splitting_the_text_says(separator, texts):
    ends, generator = StepEnds(texts, separator), random.Random(0)
    for _ in range(3000):
        tokens = generator.choices(range(len(texts)), k=generator.randint(1, 9))
        assert automaton_ends_after(tokens, ends) == ends_after(tokens, texts, separator), tokens


CORPUS = ["First, add.\n\nThen:\n\nSo x = 5.\nDone\n\n\nÄhnlich → 😀 für 12 und 13\n\n"] * 3


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<end>"],
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def sentence_piece() -> Tokenizer:
    """With bytes for unknown letters and a decoder that drops the first space, as Llama 2's."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    trainer = trainers.BpeTrainer(vocab_size=80, special_tokens=["<unk>", "<end>"])
    tokenizer.train_from_iterator([text.replace("\n", "") for text in CORPUS], trainer)
    trained = json.loads(tokenizer.to_str())
    vocabulary = trained["model"]["vocab"]
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    return Tokenizer.from_str(json.dumps(trained))


@pytest.mark.parametrize("make", [byte_level, sentence_piece])
def test_texts_of_tokens_make_up_the_decoded_text(make):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=make(), eos_token="<end>")
    texts = token_texts(tokenizer, len(tokenizer) + 5)
    assert texts[tokenizer.eos_token_id] == ""
    assert texts[-5:] == [""] * 5  # rows of the embedding that no token has
    for text in ("x = 5.\n\nThen add 12", "So\n\nDone"):
        tokens = tokenizer.encode(text, add_special_tokens=False)
        assert "".join(texts[token] for token in tokens).strip() == tokenizer.decode(tokens).strip()
        assert "\n\n" in "".join(texts[token] for token in tokens)


def run(folder, start: str, **options):
    request = {"seeds": (0,), "sampling": GREEDY, "stop": "step", "max_tokens": 20} | options
    ((_, [child]),) = sample(load(folder), [Request(ids("d", start), **request)])
    return "".join(WORDS[token] for token in child.token_ids), child.finish


@pytest.mark.parametrize(
    ("script", "text", "finish"),
    [
        ({"a": "b", "b": "\n\n", "\n\n": "a"}, "b\n\n", "step"),
        ({"a": "b", "b": ".\n\n", ".\n\n": "a"}, "b.\n\n", "step"),
        ({"a": ".\n\n", ".\n\n": "a"}, ".\n\n", "step"),
        ({"a": "b", "b": "\n", "\n": "\n"}, "b\n\n", "step"),
        ({"a": "c\n", "c\n": "\n", "\n": "b"}, "c\n\n", "step"),
        ({"a": "\n\n", "\n\n": "b", "b": ".\n\n"}, "\n\nb.\n\n", "step"),
        ({"a": "\n\n", "\n\n": "\n\n"}, "\n\n" * 20, "length"),
        ({"a": " ", " ": "\n\n", "\n\n": " "}, " \n\n" * 10, "length"),
        ({"a": "b", "b": "b"}, "b" * 20, "length"),
        ({"a": "<end>"}, "<end>", "stop"),
        ({"a": "b", "b": "<end>"}, "b<end>", "stop"),
    ],
    ids=[
        "own token",
        "merged token",
        "merged token alone",
        "two tokens",
        "across merged tokens",
        "leading separator",
        "endless separators",
        "endless blank text",
        "no separator",
        "immediate end of text",
        "end of text",
    ],
)
def test_a_child_ends_behind_the_separator_of_a_visible_step(tmp_path, script, text, finish):
    folder = scripted_policy(tmp_path, {word: {then: 1.0} for word, then in script.items()})
    assert run(folder, "a") == (text, finish)


def test_to_the_end_separators_do_not_matter(tmp_path):
    script = {"a": {"b": 1.0}, "b": {"\n\n": 1.0}, "\n\n": {"c": 1.0}, "c": {"<end>": 1.0}}
    folder = scripted_policy(tmp_path, script)
    assert run(folder, "a", stop="end") == ("b\n\nc<end>", "stop")


def test_children_of_one_batch_end_each_at_its_own_step(tmp_path):
    script = {"a": {"a": 0.5, "\n\n": 0.3, "<end>": 0.2}, "\n\n": {"a": 1.0}}
    policy = load(scripted_policy(tmp_path, script), max_rows=7)
    requests = [Request(ids("a"), tuple(range(i, i + 20)), Sampling(), "step", 30) for i in (0, 99)]
    for _, children in sample(policy, requests):
        for child in children:
            text = "".join(WORDS[token] for token in child.token_ids)
            pattern = {"step": r"(\n\n)*a+\n\n", "stop": r"(\n\n)*a*<end>"}[child.finish]
            assert re.fullmatch(pattern, text)
