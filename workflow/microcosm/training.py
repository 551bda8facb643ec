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


def train_policy(recipe: dict, label: str = "training") -> LlamaForCausalLM:
    """Train a policy on solutions of problems of the "train" split.

    Args:
        recipe: hidden, steps, seed; optionally layers, heads, kv_heads, tied, muon_lr,
            adam_lr, theta (see `models.llama_config`), corpus (see `data.memory`), thinks (see
            `thoughts.Thinks`; the policy then thinks before it answers), stored (precision that
            its weights are rounded to; they are float32 by default).
        label: of the progress lines.
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
    model.train()
    steps = recipe["steps"]
    optimiser = Optimiser(
        *split_parameters(model),
        muon_lr=recipe.get("muon_lr", 0.02),
        adam_lr=recipe.get("adam_lr", 0.003),
        steps=steps,
    )
    feed = policy_batches(recipe)
    with progress(steps, label, "steps") as done:
        for _ in range(steps):
            _learn(lambda ids: model(input_ids=ids, use_cache=False).logits, _shifted(next(feed)))
            optimiser.step()
            done.update()
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
) -> nn.Module:
    """Train a PRM on problems of the "prm" split.

    Args:
        recipe: format, steps, seed; optionally fresh_layers, faults_share (of the steps spent
            on faults of known place), problems (sampled once by each policy), muon_lr, adam_lr.
        backbone: folder of the policy that it is built on.
        policies: folders of the policies whose samples it learns from.
        label: of the progress lines.
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
            _learn(lambda ids: model(ids, use_cache=False), next(feeds[step >= first]))
            optimiser.step()
            done.update()
    return model.eval()


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
