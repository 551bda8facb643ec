r"""Training data of thinkers: policies that attempt a problem several times before they answer.

    <think>(1) c:7*8 c=6\n\n...\n\n8,0,4\n\nWait\n\n a=5 b=0 c=7\n\n(1) ...\n\n8,0,0\n\n</think>
    \n\n\boxed{8,0,0}<end>

A thought is a series of whole attempts, each closed by its answer. The author slips at random, most
often in the first attempt, tends to stop at an answer that came up before, and answers with the
last one. So longer thoughts are better, and harder problems take longer ones. Some thoughts are
cut anywhere, as a thinking budget cuts them, and answered with what is known by then.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from testtime.data.microcosm import MODULUS, REGISTERS, SEPARATOR, compute, parse, problems, write

from microcosm.data import CHUNK, IGNORED, Example
from microcosm.tokenizer import END, THINK, THINK_END, WAIT, prompt, thinker_tokenizer

# What stands between the end of a thought and the answer's digits, also where a thought is cut.
CUE = f"{SEPARATOR}\\boxed{{"
# Weights in the loss of tokens that are few but decide: to stop or not, and the answer.
DECISION_WEIGHT, ANSWER_WEIGHT = 5.0, 2.0
_ANSWER = re.compile(r"\d,\d,\d")
_RESULT = re.compile(r" ([abc])=(\d)")


@dataclass(frozen=True)
class Thinks:
    """How thoughts of a corpus are made: the recipe's section `thinks`.

    Attributes:
        slips: probability that a result is wrong, by attempt; later attempts have the last one.
        stop: probability that an attempt with a new answer is the last.
        agree: probability that an attempt whose answer came up before is the last.
        attempts: most attempts of a thought.
        cut: share of the thoughts that are cut at a random token.
        clean: share of the steps of training, the first, on one attempt without slips.
    """

    slips: list[float]
    stop: float = 0.05
    agree: float = 0.9
    attempts: int = 5
    cut: float = 0.3
    clean: float = 0.3


ONE_CLEAN_ATTEMPT = Thinks(slips=[0.0], attempts=1, cut=0.0)


def attempt(problem: str, rng: random.Random, slip: float) -> tuple[list[str], str]:
    """The steps of one attempt and its answer; a slip is any wrong result, and carried forward."""

    def recall(op: str, x: int, y: int) -> int:
        wrong = rng.randrange(1, MODULUS) if rng.random() < slip else 0
        return (compute(op, x, y) + wrong) % MODULUS

    *steps, box = write(problem, rng, recall)
    return steps, box.removeprefix("\\boxed{").removesuffix("}")


def think(problem: str, rng: random.Random, thinks: Thinks) -> list[tuple[str, str]]:
    """A thought: the text and the answer of each attempt.

    Every attempt but the first restates the start, so that the last value written of a register is
    always its value.
    """
    start = "".join(f" {r}={v}" for r, v in zip(REGISTERS, parse(problem).start, strict=True))
    attempts: list[tuple[str, str]] = []
    while True:
        number = len(attempts)
        steps, answer = attempt(problem, rng, thinks.slips[min(number, len(thinks.slips) - 1)])
        lines = [*([WAIT + start] if number else []), *steps, answer]
        last = thinks.agree if answer in (a for _, a in attempts) else thinks.stop
        attempts.append((SEPARATOR.join(lines) + SEPARATOR, answer))
        if len(attempts) == thinks.attempts or rng.random() < last:
            return attempts


def guess(problem: str, thought: str) -> str:
    """What to answer after a thought that may be cut anywhere.

    Returns:
        The answer of the last attempt that has one, otherwise the registers as they stand.
    """
    whole = [line for line in thought.split(SEPARATOR) if _ANSWER.fullmatch(line)]
    if whole:
        return whole[-1]
    start = zip(REGISTERS, map(str, parse(problem).start), strict=True)
    return ",".join((dict(start) | dict(_RESULT.findall(thought))).values())


def thoughts(split: str, seed: int, thinks: Thinks) -> Iterator[Example]:
    """Endless completions of new problems by an author who thinks first.

    Where a thought was cut, its end is not learned: a budget ends it there, not the author.

    Args:
        split: whose problems.
        seed: of problems, wordings, slips, lengths and cuts.
        thinks: how the thoughts are made.
    """
    tokenizer = thinker_tokenizer()
    stream, rng = problems(split, seed), random.Random(seed)
    begin, end, wait = tokenizer.convert_tokens_to_ids([THINK, THINK_END, WAIT])
    while True:
        chosen = [next(stream) for _ in range(CHUNK)]
        heads = tokenizer([prompt(p) for p in chosen])["input_ids"]
        whole = ["".join(text for text, _ in think(p, rng, thinks)) for p in chosen]
        for problem, head, ids in zip(chosen, heads, tokenizer(whole)["input_ids"], strict=True):
            cut = rng.random() < thinks.cut
            thought = ids[: rng.randrange(len(ids))] if cut else ids
            answer = guess(problem, tokenizer.decode(thought))
            tail = tokenizer(f"{CUE}{answer}}}{END}")["input_ids"]
            weights = [DECISION_WEIGHT if i in (wait, end) else 1.0 for i in [*thought, end]]
            yield Example(
                [*head, begin, *thought, end, *tail],
                [*[IGNORED] * len(head), begin, *thought, IGNORED if cut else end, *tail],
                [*[1.0] * (len(head) + 1), *weights, *[ANSWER_WEIGHT] * len(tail)],
            )
