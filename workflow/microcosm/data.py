"""Batches of token ids for training: problems with right solutions, or with sampled ones."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from testtime.data.microcosm import MODULUS, SEPARATOR, compute, problems, write
from testtime.study.seeds import derive

from microcosm.tokenizer import END, policy_tokenizer, prompt

IGNORED = -100
TOKENS_PER_STEP = 4096
CHUNK = 256  # problems tokenised at a time


@dataclass(frozen=True)
class Example:
    """One text to learn from.

    Attributes:
        ids: prompt and completion.
        labels: of the same length; IGNORED for tokens that are not learned.
        weights: of the same length, of each label in the loss.
    """

    ids: list[int]
    labels: list[int]
    weights: list[float] | None = None


def memory(rng: random.Random, share: float, rate: float, seed: int) -> Callable:
    """How the corpus recalls facts: a fixed set mostly with a fixed wrong result each.

    A fact is an operation as written, so 7*8 may be misremembered where 8*7 is known. This is why
    several samples are better than one: their wordings, and so their errors, differ.

    Args:
        rng: draws whether an error happens.
        share: of the facts that are misremembered.
        rate: how often those come out wrong.
        seed: determines which facts these are.
    """
    wrong = {}
    for op, x, y in itertools.product("*+-", range(MODULUS), range(MODULUS)):
        draw = random.Random(derive("slip", seed, op, x, y))
        if draw.random() < share:
            wrong[op, x, y] = (compute(op, x, y) + draw.randrange(1, MODULUS)) % MODULUS

    def recall(op: str, x: int, y: int) -> int:
        if (op, x, y) in wrong and rng.random() < rate:
            return wrong[op, x, y]
        return compute(op, x, y)

    return recall


def solutions(split: str, seed: int, corpus: dict) -> Iterator[Example]:
    """Endless solutions of new problems; only the completion is learned.

    Args:
        split: whose problems.
        seed: of problems and wordings.
        corpus: share, rate and seed of `memory`; empty for right solutions only.
    """
    tokenizer = policy_tokenizer()
    stream, rng = problems(split, seed), random.Random(seed)
    recall = memory(rng, **corpus) if corpus else compute
    while True:
        pairs = [(p, write(p, rng, recall)) for p in (next(stream) for _ in range(CHUNK))]
        heads = tokenizer([prompt(p) for p, _ in pairs])["input_ids"]
        tails = tokenizer([SEPARATOR.join(s) + END for _, s in pairs])["input_ids"]
        for head, tail in zip(heads, tails, strict=True):
            yield Example(head + tail, [IGNORED] * len(head) + tail)


def batches(
    examples: Iterator[Example], tokens: int = TOKENS_PER_STEP, parts: int = 3
) -> Iterator[list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]]:
    """Group examples to steps of about `tokens` tokens.

    Yields:
        Per optimiser step, `parts` padded (ids, labels, weights) of similar length each, which
        wastes less on padding than one.
    """
    while True:
        batch, size = [], 0
        while size < tokens:
            batch.append(next(examples))
            size += len(batch[-1].ids)
        batch.sort(key=lambda e: len(e.ids))
        per = -(-len(batch) // parts)
        yield [pad(batch[i : i + per]) for i in range(0, len(batch), per)]


def pad(batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Right-padded ids, labels and weights; causal attention needs no mask for that."""
    width = max(len(e.ids) for e in batch)

    def fill(rows: list[list], value: float, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor([r + [value] * (width - len(r)) for r in rows], dtype=dtype)

    weights = [e.weights or [1.0] * len(e.ids) for e in batch]
    return (
        fill([e.ids for e in batch], 0, torch.long),
        fill([e.labels for e in batch], IGNORED, torch.long),
        fill(weights, 0.0, torch.float32),
    )
