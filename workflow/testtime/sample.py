"""The stage `generate`: whole samples of a policy, one nested pool per problem."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from testtime.data.rows import Rows
from testtime.engines.base import Policy, sample
from testtime.engines.steps import StepReader, mean
from testtime.runtime.progress import Progress
from testtime.study.catalog import PolicySpec
from testtime.study.seeds import derive
from testtime.study.types import GREEDY, Continuation, Problem, Request, Sampling
from testtime.study.vocabulary import COT

# Samples of a request, and so what a killed job may lose of a problem; they share a prompt that is
# read once, whatever their number.
AT_ONCE = 64

COLUMNS = (
    "problem_id",
    "sample",
    "text",
    "steps",
    "step_logprobs",
    "step_ends",
    "logprob",
    "tokens",
    "prompt_tokens",
    "finish",
    "seed",
)


@dataclass(frozen=True)
class SampleSettings:
    """What determines samples, besides the policy and the problem.

    Attributes:
        sampling: how tokens are drawn.
        max_tokens: most new tokens of a sample; one that reaches it has finish "length".
        seed_parts: study seed, dataset and policy.
        label: "pool", "difficulty" (held out) or "cot"; part of the seed.
        separator: text between two steps.
    """

    sampling: Sampling
    max_tokens: int
    seed_parts: tuple[str | int, ...]
    label: str = "pool"
    separator: str = "\n\n"

    @classmethod
    def of(
        cls, spec: PolicySpec, seed_parts: tuple[str | int, ...], label: str = "pool"
    ) -> "SampleSettings":
        """Samples as a policy's entry says; "cot" is greedy unless it is a mean over samples."""
        greedy = label == COT and spec.cot_samples is None
        sampling = GREEDY if greedy else spec.sampling
        return cls(sampling, spec.max_tokens, seed_parts, label, spec.separator)


@dataclass(frozen=True)
class Draw:
    """Samples of one problem that are wanted.

    Attributes:
        numbers: indices of the samples.
        stamp: of their rows in a store; here, what tells them from other samples.
    """

    problem: Problem
    settings: SampleSettings
    numbers: range
    stamp: str

    def seed(self, number: int, *place: str | int) -> int:
        """A sample's own seed, or that of a part of it."""
        settings = self.settings
        names = (*settings.seed_parts, self.problem.problem_id, settings.label)
        return derive(*names, number, *place)


def sample_pool(
    policy: Policy,
    problems: Sequence[Problem],
    settings: SampleSettings,
    *,
    start: int,
    stop: int,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Draw samples `start` to `stop` of every problem.

    Sample i of a problem has its own seed, so it is the same in every block and shard, and
    independent of what else is drawn.

    Args:
        policy: generates.
        problems: any.
        settings: how they are drawn.
        start: first index of the samples.
        stop: index after the last one.
        progress: receives every finished sample.

    Returns:
        A table as of `to_table`.
    """
    draws = [
        Draw(problem, settings, range(start, stop), problem.problem_id) for problem in problems
    ]
    rows = Rows()
    draw_missing(policy, draws, rows, progress)
    return to_table(draws, rows)


def draw_missing(
    policy: Policy, draws: Sequence[Draw], rows: Rows, progress: Progress | None = None
) -> None:
    """Draw all samples that are wanted and not yet among the rows, together.

    Args:
        policy: generates; not asked for anything if nothing is missing.
        draws: what is wanted.
        rows: keep the samples, by number.
        progress: receives every finished sample, those that were there too.
    """
    asked: list[tuple[Draw, Sequence[int], Request]] = []
    for draw in draws:
        missing = [number for number in draw.numbers if number not in rows.of(draw.stamp)]
        if progress is not None:
            progress.update(len(draw.numbers) - len(missing))
        for first in range(0, len(missing), AT_ONCE):
            numbers = missing[first : first + AT_ONCE]
            asked.append((draw, numbers, _request(policy, draw, numbers)))
    readers: dict[str, StepReader] = {}
    for index, children in sample(policy, [request for *_, request in asked]):
        draw, numbers, request = asked[index]
        separator = draw.settings.separator
        reader = readers.setdefault(separator, StepReader(policy, separator))
        drawn = zip(numbers, request.seeds, children, strict=True)
        rows.add(
            draw.stamp,
            {
                number: _describe(child, reader)
                | {"prompt_tokens": len(request.token_ids), "seed": seed}
                for number, seed, child in drawn
            },
        )
        if progress is not None:
            progress.update(len(numbers))


def to_table(draws: Iterable[Draw], rows: Rows) -> pd.DataFrame:
    """The samples that are wanted, all of which the rows hold.

    Returns:
        One row per sample, sorted by problem and sample: problem_id, sample, text, steps,
        step_logprobs and logprob (means per token), step_ends (tokens up to the end of each step;
        missing in rows that were drawn before it was kept), tokens (generated, end of text
        included), prompt_tokens, finish ("stop" or "length"), seed.
    """
    found = [
        {"problem_id": draw.problem.problem_id, "sample": number, **rows.of(draw.stamp)[number]}
        for draw in draws
        for number in draw.numbers
    ]
    integers = dict.fromkeys(("sample", "tokens", "prompt_tokens", "seed"), "int64")
    frame = pd.DataFrame(found, columns=list(COLUMNS)).astype(integers | {"logprob": "float64"})
    return frame.sort_values(["problem_id", "sample"], kind="stable", ignore_index=True)


def _request(policy: Policy, draw: Draw, numbers: Sequence[int]) -> Request:
    return Request(
        token_ids=policy.encode(draw.problem.problem),
        seeds=tuple(draw.seed(number) for number in numbers),
        sampling=draw.settings.sampling,
        stop="end",
        max_tokens=draw.settings.max_tokens,
    )


def _describe(child: Continuation, reader: StepReader) -> dict:
    steps = reader.steps(child.token_ids, child.logprobs)
    return {
        "text": reader.text(child.token_ids),
        "steps": [step.text for step in steps],
        "step_logprobs": [step.logprob for step in steps],
        "step_ends": [step.end for step in steps],
        "logprob": mean(child.logprobs),
        "tokens": len(child.token_ids),
        "finish": child.finish,
    }
