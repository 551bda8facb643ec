"""What PRMs learn from: texts with a label per token, "right so far" or not."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from transformers import AutoModelForCausalLM

from testtime.microcosm.data import IGNORED, Example
from testtime.microcosm.sampler import sample
from testtime.microcosm.tokenizer import (
    END,
    POLICY_TOKENS,
    SOLUTION_TOKENS,
    policy_tokenizer,
    prompt,
)
from testtime.microcosm.world import REGISTERS, SEPARATOR, problems, solution, wordings
from testtime.progress import progress

SWAP = 0.12  # share of tokens replaced
SWAP_WEIGHT = 3.0  # their weight in the loss, as they are the rarer ones
PAST_ERROR = 12  # tokens learned behind the first wrong one
_ENDS = (POLICY_TOKENS.index(SEPARATOR), POLICY_TOKENS.index(END))


def _classes() -> dict[int, list[int]]:
    """Tokens that may stand in for each other: digits, operators, registers, step numbers."""
    groups = [
        [str(d) for d in range(10)],
        ["*", "+", "-"],
        [f"{r}:" for r in REGISTERS],
        [f" {r}=" for r in REGISTERS],
        [t for t in SOLUTION_TOKENS if t.startswith("(")],
    ]
    ids = [[POLICY_TOKENS.index(t) for t in group] for group in groups]
    return {i: [j for j in group if j != i] for group in ids for i in group}


def replaced_solutions(seed: int, tag: int, chunk: int = 256) -> Iterator[Example]:
    """Endless right solutions in which some tokens are swapped for others of their class.

    Labels say of each completion token alone whether it is the right one.
    """
    tokenizer, classes = policy_tokenizer(), _classes()
    stream, rng = problems("prm", seed), random.Random(seed)
    while True:
        pairs = [(p, solution(p, rng)) for p in (next(stream) for _ in range(chunk))]
        heads = tokenizer([prompt(p) for p, _ in pairs])["input_ids"]
        tails = tokenizer([SEPARATOR.join(s) + END for _, s in pairs])["input_ids"]
        for head, tail in zip(heads, tails, strict=True):
            swapped = [
                rng.choice(classes[t]) if t in classes and rng.random() < SWAP else t for t in tail
            ]
            labels = [int(a == b) for a, b in zip(tail, swapped, strict=True)]
            yield Example(
                head + tagged(swapped, tag),
                [IGNORED] * len(head) + labels,
                [1.0] * len(head) + [1.0 if good else SWAP_WEIGHT for good in labels],
            )


def tagged(ids: Sequence[int], tag: int) -> list[int]:
    """A completion as a PRM reads it: one tag behind every step, the last one too."""
    ids = [tag if i in _ENDS else i for i in ids]
    return ids if ids and ids[-1] == tag else [*ids, tag]


def token_labels(problem: str, ids: Sequence[int], tag: int) -> list[int]:
    """Per token of a tagged completion: 1 while all so far agrees with the reference, else 0."""
    steps = wordings(problem)
    labels, good, index, text = [], True, 0, ""
    for i in ids:
        if i == tag:
            good = good and index < len(steps) and text in steps[index]
            index, text = index + 1, ""
        else:
            text += POLICY_TOKENS[i]
            good = good and index < len(steps) and any(w.startswith(text) for w in steps[index])
        labels.append(int(good))
    return labels


def sampled_solutions(
    policies: Sequence[str | Path], n: int, seed: int, tag: int, label: str
) -> Iterator[Example]:
    """Samples of each policy on n problems at temperature 1, endlessly reshuffled.

    Many problems sampled once by each policy teach more than few sampled often. Labels reach
    PAST_ERROR tokens behind the first wrong one, so that wrong tokens do not outnumber the rest.
    """
    tokenizer, rng = policy_tokenizer(), random.Random(seed)
    stream = problems("prm", seed)
    chosen = [next(stream) for _ in range(n)]
    heads = tokenizer([prompt(p) for p in chosen])["input_ids"]
    examples = []
    with progress(len(policies), f"{label}: sampling", "policies") as done:
        for index, folder in enumerate(policies):
            model = AutoModelForCausalLM.from_pretrained(folder)
            drawn = sample(model, tokenizer, chosen, 1, 1.0, seed + index)
            for problem, head, (completion,) in zip(chosen, heads, drawn, strict=True):
                ids = tagged(completion, tag)
                labels = token_labels(problem, ids, tag)
                keep = sum(labels) + PAST_ERROR
                labels = labels[:keep] + [IGNORED] * (len(ids) - keep)
                examples.append(Example(head + ids, [IGNORED] * len(head) + labels))
            done.update()
    while True:
        rng.shuffle(examples)
        yield from examples
