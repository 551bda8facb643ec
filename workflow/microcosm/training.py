"""Training policies and PRMs from their recipes.

A PRM is a frozen policy's layers with new layers on top and a two-class head. Checking a step needs
arithmetic and a comparison. The frozen layers provide the arithmetic; the new ones first learn to
compare, from solutions with inserted faults, and then to judge whether everything so far is right,
from sampled solutions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch
from testtime.runtime.progress import progress
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaForCausalLM

from microcosm.checkpoint import Checkpoint
from microcosm.checks import faulty_solutions, sampled_solutions
from microcosm.data import IGNORED, batches, solutions
from microcosm.models import TAGS, grow, llama_config
from microcosm.thoughts import ONE_CLEAN_ATTEMPT, Thinks, thoughts
from microcosm.tokenizer import (
    CONTEXT,
    POLICY_TOKENS,
    PRM_TOKENS,
    THINKER_CONTEXT,
    THINKER_TOKENS,
)


class Optimiser:
    """Muon on matrices and AdamW on the rest as one optimiser, both with a linear decay to zero.

    Args:
        matrices: two-dimensional weights inside the layers.
        others: embeddings, norms, biases and heads.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        *,
        muon_lr: float,
        adam_lr: float,
        steps: int,
        warmup: int = 20,
    ):
        self.parts = [
            torch.optim.Muon(list(matrices), lr=muon_lr, weight_decay=0.0),
            torch.optim.AdamW(list(others), lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
        ]

        def rate(step: int) -> float:
            return min((step + 1) / warmup, 1 - step / steps)

        self.schedules = [torch.optim.lr_scheduler.LambdaLR(p, rate) for p in self.parts]

    def step(self) -> None:
        """Apply the gradients, clear them and move the rates on."""
        for part, schedule in zip(self.parts, self.schedules, strict=True):
            part.step()
            part.zero_grad(set_to_none=True)
            schedule.step()


def split_parameters(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The trainable (matrices of the layers, everything else) of a model."""
    matrices, others = [], []
    for name, weight in module.named_parameters():
        if weight.requires_grad:
            inner = weight.ndim == 2 and ".layers." in f".{name}"
            (matrices if inner else others).append(weight)
    return matrices, others


def train_policy(
    recipe: dict, label: str = "training", checkpoint: Checkpoint | None = None
) -> LlamaForCausalLM:
    """Train a policy on solutions of problems of the "train" split.

    Args:
        recipe: hidden, steps, seed; optionally layers, heads, kv_heads, tied, muon_lr,
            adam_lr, theta (see `models.llama_config`), corpus (see `data.memory`), thinks (see
            `thoughts.Thinks`; the policy then thinks before it answers), stored (precision that
            its weights are rounded to; they are float32 by default).
        label: of the progress lines.
        checkpoint: what a killed training goes on from.
    """
    torch.manual_seed(recipe["seed"])
    thinks = "thinks" in recipe
    model = LlamaForCausalLM(
        llama_config(
            recipe["hidden"],
            layers=recipe.get("layers", 2),
            heads=recipe.get("heads", 4),
            kv_heads=recipe.get("kv_heads", 2),
            vocab=len(THINKER_TOKENS if thinks else POLICY_TOKENS),
            tied=recipe.get("tied", True),
            context=THINKER_CONTEXT if thinks else CONTEXT,
            theta=recipe.get("theta", 100.0),
        )
    )
    feed = map(_shifted, policy_batches(recipe))
    _train(model, lambda ids: model(ids, use_cache=False).logits, feed, recipe, label, checkpoint)
    if "stored" in recipe:
        for weight in model.parameters():
            weight.data = weight.data.to(getattr(torch, recipe["stored"])).float()
    model.eval()
    model.generation_config = GenerationConfig(
        eos_token_id=model.config.eos_token_id, pad_token_id=model.config.pad_token_id
    )
    return model


def policy_batches(recipe: dict) -> Iterator[list]:
    """What a policy reads, step by step.

    A thinker's arithmetic comes first: where there are earlier attempts to copy from, it is hardly
    learned.
    """
    seed = recipe["seed"]
    if "thinks" in recipe:
        thinks = Thinks(**recipe["thinks"])
        first = round(recipe["steps"] * thinks.clean)
        yield from islice(batches(thoughts("train", seed, ONE_CLEAN_ATTEMPT)), first)
        yield from batches(thoughts("train", seed, thinks))
    else:
        yield from batches(solutions("train", seed, recipe.get("corpus", {})))


def train_prm(
    recipe: dict,
    backbone: str | Path,
    policies: Sequence[str | Path],
    label: str = "training",
    checkpoint: Checkpoint | None = None,
) -> nn.Module:
    """Train a PRM on problems of the "prm" split.

    Args:
        recipe: format, steps, seed; optionally fresh_layers, faults_share (of the steps spent
            on faults of known place), problems (sampled once by each policy), muon_lr, adam_lr.
        backbone: folder of the policy that it is built on.
        policies: folders of the policies whose samples it learns from.
        label: of the progress lines.
        checkpoint: what a killed training goes on from.
    """
    torch.manual_seed(recipe["seed"])
    model = grow(
        AutoModelForCausalLM.from_pretrained(backbone),
        recipe["format"],
        recipe.get("fresh_layers", 2),
    )
    feed = prm_batches(recipe, policies, label)
    _train(model, lambda ids: model(ids, use_cache=False), feed, recipe, label, checkpoint)
    return model.eval()


def prm_batches(recipe: dict, policies: Sequence[str | Path], label: str) -> Iterator[list]:
    """What a PRM reads, step by step; the policies are sampled when their turn comes."""
    seed, tag = recipe["seed"], PRM_TOKENS.index(TAGS[recipe["format"]])
    first = round(recipe["steps"] * recipe.get("faults_share", 0.45))
    yield from islice(batches(faulty_solutions(seed, tag)), first)
    yield from batches(sampled_solutions(policies, recipe.get("problems", 9000), seed, tag, label))


def _train(
    model: nn.Module,
    logits: Callable[[torch.Tensor], torch.Tensor],
    feed: Iterator[list],
    recipe: dict,
    label: str,
    checkpoint: Checkpoint | None,
) -> None:
    """Take the recipe's steps, from the one on that was reached before."""
    model.train()
    steps, checkpoint = recipe["steps"], checkpoint or Checkpoint()
    optimiser = Optimiser(
        *split_parameters(model),
        muon_lr=recipe.get("muon_lr", 0.02),
        adam_lr=recipe.get("adam_lr", 0.003),
        steps=steps,
    )
    parts = model, *optimiser.parts, *optimiser.schedules
    with progress(steps, label, "steps") as done:
        begun = checkpoint.restore(parts)
        done.update(begun)
        left = islice(feed, begun, steps) if begun < steps else ()
        for step, batch in enumerate(left, begun + 1):
            _learn(logits, batch)
            optimiser.step()
            checkpoint.keep(step, parts, last=step == steps)
            done.update()


def _shifted(parts: list) -> list:
    """The batches of a policy: each token is learned from those before it."""
    return [(ids[:, :-1], labels[:, 1:], weights[:, 1:]) for ids, labels, weights in parts]


def _learn(logits: Callable[[torch.Tensor], torch.Tensor], parts: list) -> None:
    """Gradients of the weighted mean cross-entropy over all labelled tokens."""
    total = sum(float((w * (labels != IGNORED)).sum()) for _, labels, w in parts)
    for ids, labels, weights in parts:
        loss = cross_entropy(
            logits(ids).flatten(0, 1),
            labels.flatten(),
            ignore_index=IGNORED,
            reduction="none",
        )
        ((loss * weights.flatten()).sum() / total).backward()
