"""One part of a probe, in a process of its own: a model or a policy with a PRM, put to work.

    python -m testtime.cli.probe_job TASK.json RESULT.json

A process that dies says something of its models and leaves the others alone; its GPUs are free
again when it ends.
"""

import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from testtime.engines.base import Policy, Prm, sample, score
from testtime.engines.load import Measured, load_policy, load_prm
from testtime.engines.steps import StepReader
from testtime.errors import UserError
from testtime.runtime.gpus import take
from testtime.search.run import SearchSettings, search_problems
from testtime.study.catalog import ENGINES, ModelSpec, PolicySpec, PrmSpec
from testtime.study.config import validate
from testtime.study.seeds import derive
from testtime.study.study import Study
from testtime.study.types import GREEDY, Problem, Request, ScoreRequest

PROBLEMS = 10
GREEDY_TOKENS = 128  # of each problem, to compare engines by
SAMPLE_TOKENS = 1024  # most of a sample: enough to measure, few enough to wait for
# Of each problem on a CPU: so many, or fewer of long ones; on GPUs as many as run together.
CPU_SAMPLES, CPU_TOKENS = 64, 4_000
SCORED = 16  # most samples of each problem whose steps a PRM reads
SEARCH_WIDTHS = 4  # N of the search, in beam widths


@dataclass(frozen=True)
class Task:
    """What a process does.

    Attributes:
        config: of the study.
        problems: id and text of each.
        policy: its name, or None.
        prm: its name, or None.
        engine: that runs the model instead of its own, to compare them; then less is done.
        paths: problem and steps that the PRM scores, as another engine's process found them.
    """

    config: dict
    problems: list[list[str]]
    policy: str | None = None
    prm: str | None = None
    engine: str | None = None
    paths: list[list] | None = None


def run(task: Task) -> dict:
    """Do a task.

    Returns:
        As far as they apply: greedy (token ids per problem); samples, ended, texts (the first of
        each problem); card (scores); paths and scores; found (problems with a finished path),
        searched (problems); rate, start_seconds, gpu_gb, ram_gb.

    Raises:
        UserError: a model is not available or does not fit.
    """
    study = Study(task.config, validate(task.config))
    problems = [Problem(*pair) for pair in task.problems]
    policy = _as_run(study.catalog.policy(task.policy), task) if task.policy else None
    prm = _as_run(study.catalog.prm(task.prm), task) if task.prm else None
    specs = [spec for spec in (policy, prm) if spec is not None]
    together = study.search_gpus(task.policy, task.prm) if len(specs) == 2 else specs[0].gpus
    take(together)
    before, options = _gpu_gb(), {"engine": study.config["engine"]}
    options["threads"] = study.config["threads"]
    writer = policy and Measured(policy, lambda: load_policy(policy, beside=prm, **options))
    reader = prm and Measured(prm, lambda: load_prm(prm, beside=policy, **options))
    for model in filter(None, (writer, reader)):
        model.load()
    found: dict = {}
    if prm is None:
        found = _draw(writer, policy, problems, study, whole=task.engine is None)
    else:
        paths = task.paths or (_paths(writer, policy, problems, study) if writer else [])
        found = _read(reader, prm, paths)
    # Another engine's rates are not the study's, and a card's example alone tells none.
    if task.engine is None and (prm is None or found["paths"]):
        measured = reader or writer
        measured.report()
        found |= {"rate": measured.rate, "start_seconds": measured.start_seconds}
    if reader and writer:
        found |= _search(writer, reader, policy, problems, study)
    found["gpu_gb"] = _gpu_gb() - before
    found["ram_gb"] = _ram_gb()
    return found


def _as_run(spec: ModelSpec, task: Task) -> ModelSpec:
    return spec if task.engine is None else replace(spec, engine=task.engine)


def _draw(
    policy: Policy, spec: PolicySpec, problems: Sequence[Problem], study: Study, *, whole: bool
) -> dict:
    """Greedy beginnings, and samples if the whole is wanted."""
    prompts = [tuple(policy.encode(problem.problem)) for problem in problems]
    firsts = [Request(ids, (0,), GREEDY, "end", GREEDY_TOKENS) for ids in prompts]
    greedy = dict(sample(policy, firsts))
    found: dict = {"greedy": [list(greedy[i][0].token_ids) for i in range(len(problems))]}
    if not whole:
        return found
    drawn = _sample(policy, spec, problems, prompts, _samples(spec, study))
    ended = [child.finish == "stop" for children in drawn for child in children]
    texts = [policy.decode(children[0].token_ids) for children in drawn]
    return found | {"samples": len(ended), "ended": sum(ended), "texts": texts}


def _samples(spec: PolicySpec, study: Study) -> int:
    """Samples of each problem that keep the machine busy."""
    if spec.gpus:
        return max(1, ENGINES[study.engine(spec)].sequences // PROBLEMS)
    return max(1, min(CPU_SAMPLES, CPU_TOKENS // spec.typical_tokens))


def _sample(
    policy: Policy,
    spec: PolicySpec,
    problems: Sequence[Problem],
    prompts: Sequence[tuple[int, ...]],
    n: int,
) -> list[list]:
    limit = min(spec.max_tokens, SAMPLE_TOKENS)
    asked = [
        Request(
            ids,
            tuple(derive("probe", problem.problem_id, i) for i in range(n)),
            spec.sampling,
            "end",
            limit,
        )
        for ids, problem in zip(prompts, problems, strict=True)
    ]
    found = dict(sample(policy, asked))
    return [found[i] for i in range(len(asked))]


def _paths(
    policy: Policy, spec: PolicySpec, problems: Sequence[Problem], study: Study
) -> list[list]:
    """Problem and steps of some samples."""
    prompts = [tuple(policy.encode(problem.problem)) for problem in problems]
    drawn = _sample(policy, spec, problems, prompts, min(SCORED, _samples(spec, study)))
    steps = StepReader(policy, spec.separator).steps
    found = [
        [problem.problem, [step.text for step in steps(child.token_ids, child.logprobs)]]
        for problem, children in zip(problems, drawn, strict=True)
        for child in children
    ]
    return [[problem, own] for problem, own in found if own]


def _read(prm: Prm, spec: PrmSpec, paths: Sequence[Sequence]) -> dict:
    asked = [ScoreRequest(problem, tuple(steps)) for problem, steps in paths]
    found: dict = {"paths": list(paths), "scores": [list(s.scores) for s in score(prm, asked)]}
    if spec.card:
        example = ScoreRequest(spec.card["problem"], tuple(spec.card["steps"]))
        found["card"] = list(score(prm, [example])[0].scores)
    return found


def _search(
    policy: Policy, prm: Prm, spec: PolicySpec, problems: Sequence[Problem], study: Study
) -> dict:
    width = study.config["beam_width"]
    limits = replace(spec, step_tokens=min(spec.step_tokens, SAMPLE_TOKENS))
    settings = SearchSettings.of(
        limits, "beam_search", SEARCH_WIDTHS * width, beam_width=width, seed_parts=("probe",)
    )
    results = list(search_problems(policy, prm, problems, settings))
    found = [any(path.finished for path in result.paths) for result in results]
    return {"searched": len(results), "found": sum(found)}


def _gpu_gb() -> float:
    """Gigabytes in use on the GPUs that this process sees, whoever uses them."""
    import torch

    used = 0
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        used += total - free
    return used / 1e9


def _ram_gb() -> float:
    """The most RAM that this process, or one of its children, has held."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 2**20


def main(task: str, result: str) -> None:
    """Read a task, do it, write its result; a user's error ends in one line and status 2."""
    try:
        found = run(Task(**json.loads(Path(task).read_text(encoding="utf-8"))))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    Path(result).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
