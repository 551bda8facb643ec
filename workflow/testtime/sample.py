"""The stage `generate`: whole samples of a policy, one nested pool per problem."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from testtime.data.partial import Partial
from testtime.engines.base import Policy, sample
from testtime.engines.steps import StepReader, mean
from testtime.runtime.progress import Progress
from testtime.study.catalog import PolicySpec
from testtime.study.seeds import derive
from testtime.study.types import GREEDY, Continuation, Problem, Request, Sampling
from testtime.study.vocabulary import COT

COLUMNS = (
    "problem_id",
    "sample",
    "text",
    "steps",
    "step_logprobs",
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
        """Samples as a policy's entry says; "cot" is greedy."""
        sampling = GREEDY if label == COT else spec.sampling
        return cls(sampling, spec.max_tokens, seed_parts, label, spec.separator)


def sample_pool(
    policy: Policy,
    problems: Sequence[Problem],
    settings: SampleSettings,
    *,
    start: int,
    stop: int,
    progress: Progress | None = None,
    partial: Partial | None = None,
) -> pd.DataFrame:
    """Draw samples `start` to `stop` of every problem.

    Sample i of a problem has its own seed, so it is the same in every block and shard, and
    independent of what else is drawn.

    Args:
        policy: generates.
        problems: of one shard.
        settings: how they are drawn.
        start: first index of the samples.
        stop: index after the last one.
        progress: receives every finished sample.
        partial: keeps finished problems; those in it are not drawn again.

    Returns:
        One row per sample, sorted by problem and sample: problem_id, sample, text, steps,
        step_logprobs and logprob (means per token), tokens (generated, end of text included),
        prompt_tokens, finish ("stop" or "length"), seed.
    """
    done = {} if partial is None else partial.units
    rows = [row for problem in problems for row in done.get(problem.problem_id, ())]
    if progress is not None and rows:
        progress.update(len(rows))
    left = [problem for problem in problems if problem.problem_id not in done]
    reader = StepReader(policy, settings.separator)
    requests = [_request(policy, problem, range(start, stop), settings) for problem in left]
    for index, children in sample(policy, requests if stop > start else []):
        problem_id, request = left[index].problem_id, requests[index]
        drawn = [
            {
                "problem_id": problem_id,
                "sample": number,
                **_describe(child, reader),
                "prompt_tokens": len(request.token_ids),
                "seed": seed,
            }
            for number, (seed, child) in enumerate(zip(request.seeds, children, strict=True), start)
        ]
        if partial is not None:
            partial.add(problem_id, drawn)
        rows += drawn
        if progress is not None:
            progress.update(len(drawn))
    integers = dict.fromkeys(("sample", "tokens", "prompt_tokens", "seed"), "int64")
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(integers | {"logprob": "float64"})
    return frame.sort_values(["problem_id", "sample"], kind="stable", ignore_index=True)


def _request(policy: Policy, problem: Problem, numbers: range, settings: SampleSettings) -> Request:
    names = (*settings.seed_parts, problem.problem_id, settings.label)
    return Request(
        token_ids=policy.encode(problem.problem),
        seeds=tuple(derive(*names, number) for number in numbers),
        sampling=settings.sampling,
        stop="end",
        max_tokens=settings.max_tokens,
    )


def _describe(child: Continuation, reader: StepReader) -> dict:
    steps = reader.steps(child.token_ids, child.logprobs)
    return {
        "text": reader.text(child.token_ids),
        "steps": [step.text for step in steps],
        "step_logprobs": [step.logprob for step in steps],
        "logprob": mean(child.logprobs),
        "tokens": len(child.token_ids),
        "finish": child.finish,
    }
