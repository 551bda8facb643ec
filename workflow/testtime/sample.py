"""The stage `generate`: whole samples of a policy, one nested pool per problem."""

from collections.abc import Iterator, Sequence

import pandas as pd

from testtime.data.partial import Partial
from testtime.engines.base import Policy, sample
from testtime.engines.steps import StepReader, mean
from testtime.runtime.progress import Progress
from testtime.study.seeds import derive
from testtime.study.types import Continuation, Problem, Request, Sampling

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


def sample_pool(
    policy: Policy,
    problems: Sequence[Problem],
    *,
    start: int,
    stop: int,
    sampling: Sampling,
    max_tokens: int,
    separator: str = "\n\n",
    seed_parts: tuple[str | int, ...],
    method_label: str = "pool",
    progress: Progress | None = None,
    partial: Partial | None = None,
) -> pd.DataFrame:
    """Draw samples `start` to `stop` of every problem.

    Sample i of a problem has a seed of its own, so it is the same in every block and shard, and
    whatever else is drawn beside it.

    Args:
        policy: generates.
        problems: of one shard.
        start: first index of the samples.
        stop: index behind the last one.
        sampling: greedy for "cot".
        max_tokens: most new tokens per sample; a sample that reaches it has finish "length".
        separator: text between two steps.
        seed_parts: study seed, dataset and policy.
        method_label: "pool", "difficulty" (held out) or "cot"; part of the seed.
        progress: told of every sample that is done.
        partial: keeps finished problems; those that it has are not drawn again.

    Returns:
        One row per sample, sorted by problem and sample: problem_id, sample, text, steps,
        step_logprobs and logprob (means per token), tokens (generated, end of text included),
        prompt_tokens, finish ("stop" or "length"), seed.
    """
    done = {} if partial is None else partial.units
    rows = [row for problem in problems for row in done.get(problem.problem_id, ())]
    if progress is not None and rows:
        progress.update(len(rows))
    drawn = draw_samples(
        policy,
        [problem for problem in problems if problem.problem_id not in done],
        start=start,
        stop=stop,
        sampling=sampling,
        max_tokens=max_tokens,
        separator=separator,
        seed_parts=seed_parts,
        method_label=method_label,
        progress=progress,
    )
    for problem_id, own in drawn:
        if partial is not None:
            partial.add(problem_id, own)
        rows += own
    return to_frame(rows)


def draw_samples(
    policy: Policy,
    problems: Sequence[Problem],
    *,
    start: int,
    stop: int,
    sampling: Sampling,
    max_tokens: int,
    separator: str,
    seed_parts: tuple[str | int, ...],
    method_label: str,
    progress: Progress | None = None,
) -> Iterator[tuple[str, list[dict]]]:
    """Yield each problem_id with its rows of `sample_pool`, in the order of completion."""
    reader = StepReader(policy, separator)
    prompts = [policy.encode(problem.problem) for problem in problems]
    requests = [
        Request(
            token_ids=prompt,
            seeds=tuple(
                derive(*seed_parts, problem.problem_id, method_label, i) for i in range(start, stop)
            ),
            sampling=sampling,
            stop="end",
            max_tokens=max_tokens,
        )
        for problem, prompt in zip(problems, prompts, strict=True)
    ]
    for index, children in sample(policy, requests if stop > start else []):
        request = requests[index]
        problem_id = problems[index].problem_id
        yield (
            problem_id,
            [
                {
                    "problem_id": problem_id,
                    "sample": i,
                    **_describe(child, reader),
                    "prompt_tokens": len(request.token_ids),
                    "seed": seed,
                }
                for i, (seed, child) in enumerate(zip(request.seeds, children, strict=True), start)
            ],
        )
        if progress is not None:
            progress.update(len(children))


def to_frame(rows: list[dict]) -> pd.DataFrame:
    """Stack rows of `draw_samples`, sorted by problem and sample."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = frame.astype(
        {"sample": "int64", "tokens": "int64", "prompt_tokens": "int64", "seed": "int64"}
        | {"logprob": "float64"}
    )
    return frame.sort_values(["problem_id", "sample"], kind="stable", ignore_index=True)


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
