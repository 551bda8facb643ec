"""Training a policy from a recipe."""

import torch
from testtime.runtime.progress import progress
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from microcosm.data import IGNORED, batches, solutions
from microcosm.optimiser import Optimiser, split_parameters
from microcosm.tokenizer import END, PAD, POLICY_TOKENS

HEAD_DIM = 32  # the least that vLLM's attention on CPUs supports
CONTEXT = 256


def llama_config(
    hidden: int, *, layers: int, heads: int, kv_heads: int, vocab: int, tied: bool = True
) -> LlamaConfig:
    """A small Llama; rotary positions turn fast, as texts are short."""
    return LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=HEAD_DIM,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        tie_word_embeddings=tied,
        initializer_range=hidden**-0.5 / 2,
        bos_token_id=None,
        eos_token_id=POLICY_TOKENS.index(END),
        pad_token_id=POLICY_TOKENS.index(PAD),
        dtype="float32",
    )


def train_policy(recipe: dict, label: str = "training") -> LlamaForCausalLM:
    """Train a policy on solutions of problems of the "train" split.

    Args:
        recipe: hidden, steps, seed; optionally layers, heads, kv_heads, tied, muon_lr,
            adam_lr, corpus (see `data.memory`).
        label: of the progress lines.
    """
    torch.manual_seed(recipe["seed"])
    model = LlamaForCausalLM(
        llama_config(
            recipe["hidden"],
            layers=recipe.get("layers", 2),
            heads=recipe.get("heads", 4),
            kv_heads=recipe.get("kv_heads", 2),
            vocab=len(POLICY_TOKENS),
            tied=recipe.get("tied", True),
        )
    )
    model.train()
    steps = recipe["steps"]
    optimiser = Optimiser(
        *split_parameters(model),
        muon_lr=recipe.get("muon_lr", 0.02),
        adam_lr=recipe.get("adam_lr", 0.003),
        steps=steps,
    )
    feed = batches(solutions("train", recipe["seed"], recipe.get("corpus", {})))
    with progress(steps, label, "steps") as done:
        for _ in range(steps):
            parts = next(feed)
            count = sum(int((labels != IGNORED).sum()) for _, labels, _ in parts)
            for ids, labels, _ in parts:
                logits = model(input_ids=ids[:, :-1], use_cache=False).logits
                loss = cross_entropy(
                    logits.flatten(0, 1),
                    labels[:, 1:].flatten(),
                    ignore_index=IGNORED,
                    reduction="sum",
                )
                (loss / count).backward()
            optimiser.step()
            done.update()
    model.eval()
    model.generation_config = GenerationConfig(
        eos_token_id=model.config.eos_token_id, pad_token_id=model.config.pad_token_id
    )
    return model
