"""The microcosm's problems: chained arithmetic modulo 10 over three registers.

A problem gives the initial registers and k numbered instructions; a solution has one step
per instruction and ends with the registers in a box. Difficulty is known (k), and so is whether
each step of any solution is right.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from testtime.errors import UserError
from testtime.study.seeds import derive

MODULUS = 10
REGISTERS = "abc"
MIN_STEPS, MAX_STEPS = 2, 8
SEPARATOR = "\n\n"

# Share of the hash buckets of each split: a problem's text alone determines its split, so no
# problem is in two.
SPLITS = {
    "test": range(0, 10),
    "fresh": range(10, 20),
    "prm": range(20, 50),
    "train": range(50, 100),
}
_BUCKETS = 100

_START = re.compile(r"Modulo 10, start with a=(\d) b=(\d) c=(\d);")
_INSTRUCTION = re.compile(r" (\d)\. ([abc])([*+-])=([abc0-9])")


def compute(op: str, x: int, y: int) -> int:
    """The true result of one operation modulo 10."""
    return {"*": x * y, "+": x + y, "-": x - y}[op] % MODULUS


@dataclass(frozen=True)
class Instruction:
    """`target op= operand`; the operand is a register's name or a digit."""

    target: str
    op: str
    operand: str


@dataclass(frozen=True)
class Task:
    """What a problem's text says."""

    start: tuple[int, int, int]
    instructions: tuple[Instruction, ...]

    def __str__(self) -> str:
        start = " ".join(f"{r}={v}" for r, v in zip(REGISTERS, self.start, strict=True))
        program = "".join(
            f" {i}. {x.target}{x.op}={x.operand}" for i, x in enumerate(self.instructions, 1)
        )
        return f"Modulo 10, start with {start};{program}"


def parse(problem: str) -> Task:
    """Read a problem's text.

    Raises:
        UserError: the text is not a microcosm problem.
    """
    head = _START.match(problem)
    body = problem[head.end() :] if head else ""
    found = _INSTRUCTION.findall(body)
    task = head and Task(
        tuple(int(v) for v in head.groups()),
        tuple(Instruction(target, op, operand) for _, target, op, operand in found),
    )
    if not task or not found or str(task) != problem:
        raise UserError(f"not a microcosm problem: {problem!r}")
    return task


def split_of(problem: str) -> str:
    """The split of a problem, by a hash of its text."""
    digest = hashlib.blake2b(problem.encode(), digest_size=8).digest()
    bucket = int.from_bytes(digest, "big") % _BUCKETS
    return next(name for name, buckets in SPLITS.items() if bucket in buckets)


def _draw(rng: random.Random, k: int) -> Task:
    program = []
    for _ in range(k):
        target = rng.choice(REGISTERS)
        op = rng.choices("*+-", (4, 3, 3))[0]
        others = [r for r in REGISTERS if r != target]
        operand = rng.choice(others) if rng.random() < 0.7 else str(rng.randint(2, 9))
        program.append(Instruction(target, op, operand))
    return Task(tuple(rng.randrange(MODULUS) for _ in REGISTERS), tuple(program))


def problems(split: str, seed: int) -> Iterator[str]:
    """Endless distinct problems of a split; k cycles through 2..8, so every k is equally frequent.

    Raises:
        UserError: unknown split.
    """
    if split not in SPLITS:
        raise UserError(f"microcosm split {split!r}: allowed are {', '.join(SPLITS)}")
    rng = random.Random(derive("microcosm", split, seed))
    seen: set[str] = set()
    while True:
        for k in range(MIN_STEPS, MAX_STEPS + 1):
            problem = str(_draw(rng, k))
            while problem in seen or split_of(problem) != split:
                problem = str(_draw(rng, k))
            seen.add(problem)
            yield problem


def generate_problems(split: str, n: int, seed: int) -> list[dict]:
    """The first n problems of (split, seed), so a larger n extends the result of a smaller one.

    Returns:
        Rows of problem_id, problem, answer, and level = k, the number of instructions.
    """
    stream = problems(split, seed)
    rows = []
    for index in range(n):
        problem = next(stream)
        rows.append(
            {
                "problem_id": f"{split}-{seed}-{index:05d}",
                "problem": problem,
                "answer": answer(problem),
                "level": len(parse(problem).instructions),
            }
        )
    return rows


def _wordings(number: int, instruction: Instruction, state: dict[str, int]) -> list[tuple]:
    """The correct ways to write a step: (text up to the result, operator, left and right value).

    Both orders of a product or a sum are right; samples differ in it, and so do their errors.
    """
    target, op, operand = instruction.target, instruction.op, instruction.operand
    x, y = state[target], state[operand] if operand in state else int(operand)
    left, right = f"{target}:{x}", f"{operand}:{y}" if operand in state else operand
    forms = [(f"({number}) {left}{op}{right} {target}=", op, x, y)]
    if op != "-":
        forms.append((f"({number}) {right}{op}{left} {target}=", op, y, x))
    return forms


def _boxed(state: dict[str, int]) -> str:
    return ",".join(str(state[r]) for r in REGISTERS)


@lru_cache(maxsize=65536)
def _references(problem: str) -> tuple[tuple[tuple[str, ...], ...], str]:
    """The correct wordings of each step, and the answer."""
    task = parse(problem)
    state = dict(zip(REGISTERS, task.start, strict=True))
    steps = []
    for number, instruction in enumerate(task.instructions, 1):
        forms = _wordings(number, instruction, state)
        value = compute(*forms[0][1:])
        state[instruction.target] = value
        steps.append(tuple(f"{text}{value}" for text, *_ in forms))
    values = _boxed(state)
    return (*steps, (rf"\boxed{{{values}}}",)), values


def write(problem: str, rng: random.Random, recall: Callable[[str, int, int], int]) -> list[str]:
    """The steps of an author who words each step at random and recalls facts as `recall` says.

    Args:
        problem: its text.
        rng: draws the wordings.
        recall: the result of (operator, left, right) as written; an error is carried forward.
    """
    task = parse(problem)
    state = dict(zip(REGISTERS, task.start, strict=True))
    steps = []
    for number, instruction in enumerate(task.instructions, 1):
        text, *fact = rng.choice(_wordings(number, instruction, state))
        state[instruction.target] = recall(*fact)
        steps.append(f"{text}{state[instruction.target]}")
    return [*steps, rf"\boxed{{{_boxed(state)}}}"]


def answer(problem: str) -> str:
    """The gold answer: the three registers at the end, such as "8,0,0"."""
    return _references(problem)[1]


def wordings(problem: str) -> tuple[tuple[str, ...], ...]:
    """The right wordings of each step of a solution, the box last."""
    return _references(problem)[0]


def label_steps(problem: str, steps: Sequence[str]) -> list[bool]:
    """Whether each step is right: it and all before it agree with the reference."""
    wordings = _references(problem)[0]
    labels, good = [], True
    for index, step in enumerate(steps):
        good = good and index < len(wordings) and step in wordings[index]
        labels.append(good)
    return labels
