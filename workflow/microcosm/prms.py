"""Training a PRM from a recipe: a frozen policy's layers, fresh layers on top, a two-class head.

Checking a step needs the arithmetic and a comparison. The frozen layers bring the arithmetic; the
fresh ones first learn to compare, from solutions with faults of known place, and then to tell
whether everything so far is right, from sampled solutions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from testtime.data.microcosm import SEPARATOR
from testtime.errors import UserError
from testtime.runtime.progress import progress
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForCausalLM,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2Model,
)

from microcosm.checks import faulty_solutions, sampled_solutions
from microcosm.data import IGNORED, batches
from microcosm.optimiser import Optimiser, split_parameters
from microcosm.policies import CONTEXT, HEAD_DIM, llama_config
from microcosm.tokenizer import PAD, PRM_TOKENS, SHEPHERD_TAG, STEP_TAG

TAGS = {"qwen2.5-math-prm": STEP_TAG, "math-shepherd": SHEPHERD_TAG}


class Qwen2Reward(nn.Module):
    """The published form of Qwen2.5-Math-PRM: a Qwen2 backbone with a two-class head."""

    def __init__(self, config: Qwen2Config):
        super().__init__()
        self.config = config
        self.model = Qwen2Model(config)
        h = config.hidden_size
        self.score = nn.Sequential(nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits (batch, length, 2) of "wrong" and "right so far"."""
        return self.score(self.model(input_ids=ids, use_cache=False).last_hidden_state)


class ShepherdReward(nn.Module):
    """The published form of Math-Shepherd: a language model that answers "+" or "-"."""

    def __init__(self, lm: LlamaForCausalLM):
        super().__init__()
        self.lm, self.config = lm, lm.config
        self.classes = [PRM_TOKENS.index("-"), PRM_TOKENS.index("+")]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits (batch, length, 2) of "-" and "+"."""
        return self.lm(input_ids=ids, use_cache=False).logits[..., self.classes]


def grow(backbone: PreTrainedModel, format: str, fresh_layers: int) -> nn.Module:
    """A PRM whose first layers are the backbone's, frozen; the others are new.

    Args:
        backbone: a LlamaForCausalLM policy; for qwen2.5-math-prm its heads must fill its hidden
            size, since Qwen2 knows no other head size.
        format: the published form.
        fresh_layers: number of new layers.
    """
    old = backbone.config
    layers = old.num_hidden_layers + fresh_layers
    if format == "math-shepherd":
        config = llama_config(
            old.hidden_size,
            layers=layers,
            heads=old.num_attention_heads,
            kv_heads=old.num_key_value_heads,
            vocab=len(PRM_TOKENS),
            tied=False,
        )
        prm: nn.Module = ShepherdReward(LlamaForCausalLM(config))
        inner = prm.lm.model
    elif format == "qwen2.5-math-prm":
        if old.num_attention_heads * HEAD_DIM != old.hidden_size:
            raise UserError(
                f"backbone of a qwen2.5-math-prm: heads {old.num_attention_heads} x {HEAD_DIM} "
                f"must equal hidden size {old.hidden_size}"
            )
        prm = Qwen2Reward(_qwen2_config(old, layers))
        inner = prm.model
    else:
        raise UserError(f"microcosm PRM format {format!r}: allowed are {', '.join(TAGS)}")
    _copy(backbone.model, inner, PRM_TOKENS.index(TAGS[format]))
    return prm


def _qwen2_config(old, layers: int) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=len(PRM_TOKENS),
        hidden_size=old.hidden_size,
        intermediate_size=old.intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=old.num_attention_heads,
        num_key_value_heads=old.num_key_value_heads,
        max_position_embeddings=CONTEXT,
        rope_parameters=dict(old.rope_parameters),
        rms_norm_eps=old.rms_norm_eps,
        initializer_range=old.initializer_range,
        tie_word_embeddings=False,
        use_cache=True,
        bos_token_id=None,
        eos_token_id=old.eos_token_id,
        pad_token_id=PRM_TOKENS.index(PAD),
        architectures=["Qwen2ForProcessRewardModel"],
        num_labels=2,
        dtype="float32",
    )


@torch.no_grad()
def _copy(old: nn.Module, new: nn.Module, tag: int) -> None:
    """Copy embeddings and layers and freeze them; a step tag starts as the separator's twin."""
    rows = old.embed_tokens.weight
    new.embed_tokens.weight[: len(rows)] = rows
    new.embed_tokens.weight[tag] = rows[PRM_TOKENS.index(SEPARATOR)]
    new.embed_tokens.weight.requires_grad_(False)
    for source, target in zip(old.layers, new.layers, strict=False):
        for name, weight in target.named_parameters():
            known = dict(source.named_parameters()).get(name)
            weight.copy_(known if known is not None else torch.zeros_like(weight))
        target.requires_grad_(False)


def train_prm(
    recipe: dict,
    backbone: str | Path,
    policies: Sequence[str | Path],
    label: str = "training",
    watch: Callable[[int, float], None] | None = None,
) -> nn.Module:
    """Train a PRM on problems of the "prm" split.

    Args:
        recipe: format, steps, seed; optionally fresh_layers, faults_share (of the steps spent
            on faults of known place), problems (sampled once by each policy), muon_lr, adam_lr.
        backbone: folder of the policy that it grows from.
        policies: folders of the policies whose samples it learns from.
        label: of the progress lines.
        watch: told the step and its loss before every optimiser step.
    """
    torch.manual_seed(recipe["seed"])
    model = grow(
        AutoModelForCausalLM.from_pretrained(backbone),
        recipe["format"],
        recipe.get("fresh_layers", 2),
    )
    steps, seed = recipe["steps"], recipe["seed"]
    tag = PRM_TOKENS.index(TAGS[recipe["format"]])
    samples = sampled_solutions(policies, recipe.get("problems", 9000), seed, tag, label)
    feeds = [batches(faulty_solutions(seed, tag)), batches(samples)]
    first = round(steps * recipe.get("faults_share", 0.45))
    optimiser = Optimiser(
        *split_parameters(model),
        muon_lr=recipe.get("muon_lr", 0.02),
        adam_lr=recipe.get("adam_lr", 0.003),
        steps=steps,
    )
    model.train()
    with progress(steps, label, "steps") as done:
        for step in range(steps):
            loss = _learn(model, next(feeds[step >= first]))
            if watch:
                watch(step, loss)
            optimiser.step()
            done.update()
    return model.eval()


def _learn(model: nn.Module, parts: list) -> float:
    """Gradients of the weighted mean cross-entropy over all labelled tokens; returns that mean."""
    total = sum(float((w * (labels != IGNORED)).sum()) for _, labels, w in parts)
    mean = 0.0
    for ids, labels, weights in parts:
        loss = cross_entropy(
            model(ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
        )
        part = (loss * weights.flatten()).sum() / total
        part.backward()
        mean += float(part.detach())
    return mean
