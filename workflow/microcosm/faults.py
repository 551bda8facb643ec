"""Solutions with faults of known place: what a PRM learns to compare from."""

import random
from collections.abc import Sequence

from testtime.data.microcosm import REGISTERS, SEPARATOR, compute, parse

_DIGITS = [str(d) for d in range(10)]


def faulty(problem: str, rng: random.Random, rate: float) -> tuple[list[str], list[bool]]:
    """Write a solution in which each token may be at fault, carrying on from what is written.

    A wrong value, operator or register is used in all that follows, so a token is right exactly
    if it follows from the text before it.

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
        # A first constant or operator at fault may leave another wording open: keep to values.
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
