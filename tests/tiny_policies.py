"""Tiny policies as folders: random ones of several architectures, and scripted ones."""

from pathlib import Path

import torch
from microcosm.tokenizer import END, PAD, UNKNOWN, build
from testtime.engines.transformers.policy import TransformersPolicy, load_policy
from testtime.study.catalog import PolicySpec
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    LlamaConfig,
    LlamaModel,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

WORDS = [PAD, END, UNKNOWN, "a", "b", "c", "d", " ", ".", "\n\n", "\n", ".\n\n", "c\n"]
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,  # large enough for greedy text to vary
    "bos_token_id": None,
    "eos_token_id": WORDS.index(END),
    "pad_token_id": WORDS.index(PAD),
}
# Sliding windows shorter than the texts of the tests, so that they matter.
CONFIGS = {
    "llama": lambda: LlamaConfig(**SIZES),
    "llama-mha": lambda: LlamaConfig(**(SIZES | {"num_key_value_heads": 4})),
    "qwen2": lambda: Qwen2Config(**{k: v for k, v in SIZES.items() if k != "head_dim"}),
    "qwen3": lambda: Qwen3Config(**SIZES),
    "mistral": lambda: MistralConfig(**SIZES, sliding_window=11),
    "gemma2": lambda: Gemma2Config(**SIZES, sliding_window=9, attn_logit_softcapping=2.0),
}


def random_policy(folder: Path, architecture: str = "llama") -> Path:
    """Random weights that emit every token, the end of text too."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(CONFIGS[architecture]())
    return _save(model, folder)


def scripted_policy(folder: Path, following: dict[str, dict[str, float]]) -> Path:
    """A policy whose next word depends on the last one alone, with these probabilities.

    Layers add nothing, embeddings are orthogonal, and the head holds the logits.
    """
    config = LlamaConfig(**SIZES, tie_word_embeddings=False)
    model = AutoModelForCausalLM.from_config(config)
    logits = torch.full((len(WORDS), len(WORDS)), -30.0)
    for word, choices in following.items():
        for choice, probability in choices.items():
            logits[WORDS.index(word), WORDS.index(choice)] = torch.tensor(probability).log()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "o_proj" in name or "down_proj" in name:
                weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(len(WORDS), 64))
        model.lm_head.weight.zero_()
        model.lm_head.weight[:, : len(WORDS)] = logits.T / 8  # a unit vector is normed to 8
    return _save(model, folder)


def load(folder: Path, *, max_rows: int | None = None, **entry) -> TransformersPolicy:
    """The policy on one thread, by a catalog entry with these changes."""
    return load_policy(spec(folder, **entry), threads=1, max_rows=max_rows)


def spec(folder: Path, **entry) -> PolicySpec:
    """The catalog entry of a tiny policy, with these changes."""
    defaults = {"prompt": "plain", "context": 128, "dtype": "float32"}
    return PolicySpec(name=folder.name, parameters=0, model=str(folder), **(defaults | entry))


def fed(monkeypatch, most_rows: int | None = None) -> list[tuple[int, int]]:
    """Shapes (rows, tokens) of what Llama models are fed from here on.

    Args:
        monkeypatch: pytest's.
        most_rows: from where on one more row is one too many for the memory.
    """
    shapes, forward = [], LlamaModel.forward

    def noted(self, input_ids, **options):
        shapes.append(tuple(input_ids.shape))
        if most_rows is not None and len(input_ids) > most_rows:
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, input_ids=input_ids, **options)

    monkeypatch.setattr(LlamaModel, "forward", noted)
    return shapes


def ids(*words: str) -> tuple[int, ...]:
    """Token ids of words."""
    return tuple(WORDS.index(word) for word in words)


def _save(model, folder: Path) -> Path:
    model.eval().save_pretrained(folder)
    build(WORDS).save_pretrained(folder)
    return folder
