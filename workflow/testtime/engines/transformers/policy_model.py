"""A policy's model and tokenizer: loading them, and what the engine has to know of them."""

import math

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from testtime.engines.pretrained import (
    check_chat,
    check_context,
    check_loaded,
    load_tokenizer,
    loading,
    source,
)
from testtime.engines.transformers import trunk_attention
from testtime.errors import UserError

LAYER_TYPES = {"full_attention", "sliding_attention"}


def load(
    what: str, model: str, revision: str | None, context: int, dtype: str, device: torch.device
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model whose attention the engine can run, named `what` in messages.

    Raises:
        UserError: the files, the architecture, the context or the chat template do not fit.
    """
    where = source(model, revision)
    with loading(what):
        tokenizer = load_tokenizer(where)
        loaded, info = AutoModelForCausalLM.from_pretrained(
            **where,
            dtype=dtype,
            use_safetensors=True,
            attn_implementation=trunk_attention.NAME,
            output_loading_info=True,
        )
    check_loaded(what, info)
    config = loaded.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ()) - LAYER_TYPES
    if kinds or not loaded._supports_attention_backend:
        kind = ", ".join(sorted(kinds)) or "attention of its own"
        raise UserError(f"{what} has {kind}, which engine transformers cannot run; take vllm")
    check_context(what, config, context)
    check_chat(what, tokenizer)
    return loaded.eval().requires_grad_(False).to(device), tokenizer


def kv_token(model: PreTrainedModel) -> torch.Tensor:
    """Keys and values of one token, all zero: (1, 2 x layers, heads, head size)."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    shape = (1, 2 * config.num_hidden_layers, heads, size)
    return torch.zeros(shape, dtype=model.dtype, device=model.device)


def kv_bytes(model: PreTrainedModel) -> int:
    """Bytes that the keys and values of one token take."""
    return math.prod(kv_token(model).shape) * model.dtype.itemsize
