"""Muon on matrices, AdamW on the rest, both with a linear decay to zero."""

from collections.abc import Iterable

import torch
from torch import nn


class Optimiser:
    """Both optimisers behind one step.

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
