"""Training data of PRMs: texts with a label per token, "right so far" or not.

Solutions with inserted faults, and solutions sampled from policies.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from testtime.data.microcosm import REGISTERS, SEPARATOR, compute, parse, problems, wordings
from testtime.runtime.progress import progress
from transformers import AutoModelForCausalLM

from microcosm.data import CHUNK, IGNORED, Example
from microcosm.sampler import sample
from microcosm.tokenizer import (
    END,
    POLICY_TOKENS,
    policy_tokenizer,
    prompt,
)

FAULTS = 0.08  # probability of a fault per token
FAULT_WEIGHT = 4.0  # weight of a fault in the loss, as faults are rarer
PAST_ERROR = 12  # tokens after the first wrong one that weigh as much as those before it
LATE_WEIGHT = 0.25  # weight of the tokens after those, or they would outweigh the rest
_DIGITS = [str(d) for d in range(10)]
_ENDS = (POLICY_TOKENS.index(SEPARATOR), POLICY_TOKENS.index(END))


def faulty(problem: str, rng: random.Random, rate: float) -> tuple[list[str], list[bool]]:
    """Write a solution in which each token may be wrong, continuing from what is written.

    A wrong value, operator or register is used in everything after it, so a token is right if and
    only if it follows from the text before it.

    Args:
        problem: its text.
        rng: draws wordings and faults.
        rate: probability of a fault per token that can have one.

    Returns:
        Tokens (separators included, end of text not) and whether each is right.
    """
    task = parse(problem)
    state = dict(zip(REGISTERS, map(str, task.start), strict=True))
    tokens: list[str] = []
    right: list[bool] = []

    def put(token: str, others: Sequence[str] = ()) -> str:
        wrong = [t for t in others if t != token]
        slip = bool(wrong) and rng.random() < rate
        tokens.append(rng.choice(wrong) if slip else token)
        right.append(not slip)
        return tokens[-1]

    def value(source: str, allowed: Sequence[str]) -> str:
        """Name and value of a register, or a constant; returns the value as written."""
        if source in state:
            # Naming the instruction's other register would be its other wording, not a fault.
            names = [f"{r}:" for r in REGISTERS if r == source or r not in allowed]
            return put(state[put(f"{source}:", names)[0]], _DIGITS)
        return put(source, _DIGITS)

    for number, step in enumerate(task.instructions, 1):
        put(f"({number}) ")
        both = [step.target, step.operand]
        first, second = both if step.op == "-" or rng.random() < 0.5 else both[::-1]
        # A wrong first constant or operator may fit another wording: only values are changed.
        x = value(first, both)
        op = put(step.op, "*+-")
        y = value(second, both)
        target = put(f" {step.target}=", [f" {r}=" for r in REGISTERS])[1]
        state[target] = put(str(compute(op, int(x), int(y))), _DIGITS)
        put(SEPARATOR)
    put("\\boxed{")
    for register in REGISTERS:
        put(state[register], _DIGITS)
        put("}" if register == REGISTERS[-1] else ",")
    return tokens, right


def faulty_solutions(seed: int, tag: int) -> Iterator[Example]:
    """Endless solutions with faults; labels say for each completion token alone if it is right."""
    rng = random.Random(seed)
    ids = {token: i for i, token in enumerate(POLICY_TOKENS)}
    tokenizer = policy_tokenizer()
    stream = problems("prm", seed)
    while True:
        chosen = [next(stream) for _ in range(CHUNK)]
        for problem, head in zip(
            chosen, tokenizer([prompt(p) for p in chosen])["input_ids"], strict=True
        ):
            tokens, right = faulty(problem, rng, FAULTS)
            labels = [int(good) for good in right] + [1]
            yield Example(
                head + tagged([ids[t] for t in tokens], tag),
                [IGNORED] * len(head) + labels,
                [1.0] * len(head) + [1.0 if good else FAULT_WEIGHT for good in labels],
            )


def tagged(ids: Sequence[int], tag: int) -> list[int]:
    """A completion as a PRM reads it: a tag after every step, including the last."""
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

    Many problems sampled once by each policy are more useful than few sampled often.
    """
    tokenizer, rng = policy_tokenizer(), random.Random(seed)
    stream = problems("prm", seed)
    chosen = [next(stream) for _ in range(n)]
    heads = tokenizer([prompt(p) for p in chosen])["input_ids"]
    examples = []
    with progress(len(policies), f"{label}: sampling", "policies") as done:
        for index, folder in enumerate(policies):
            model = AutoModelForCausalLM.from_pretrained(folder)
            drawn = sample(model, tokenizer, chosen, n=1, temperature=1.0, seed=seed + index)
            for problem, head, (completion,) in zip(chosen, heads, drawn, strict=True):
                ids = tagged(completion, tag)
                labels = token_labels(problem, ids, tag)
                early = min(sum(labels) + PAST_ERROR, len(ids))
                weights = [1.0] * (len(head) + early) + [LATE_WEIGHT] * (len(ids) - early)
                examples.append(Example(head + ids, [IGNORED] * len(head) + labels, weights))
            done.update()
    while True:
        rng.shuffle(examples)
        yield from examples
