"""What a study will take, stage by stage: the same estimates that give jobs their run times."""

from collections.abc import Iterator
from dataclasses import dataclass

from testtime.present.registry import figures, of_study
from testtime.study import work
from testtime.study.layout import STAGES
from testtime.study.study import Study
from testtime.study.work import SCRIPT_SECONDS, Work

FIGURE_SECONDS = 3.0
NOTEBOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Stage:
    """What all jobs of a stage take together.

    Attributes:
        seconds: summed over jobs, loading included.
        gpu_seconds: the same times the GPUs that each job holds.
        longest_s: of the longest job.
        size: bytes written.
    """

    name: str
    jobs: int = 0
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    longest_s: float = 0.0
    policy_tokens: float = 0.0
    prm_tokens: float = 0.0
    size: float = 0.0


def forecast(study: Study) -> list[Stage]:
    """One entry per stage that has jobs, in the order of the study, then one for all of them."""
    jobs: dict[str, list[Work]] = {name: [] for name in STAGES}
    for name, job in _jobs(study):
        jobs[name].append(job)
    everything = [job for own in jobs.values() for job in own]
    return [_sum(name, own) for name, own in jobs.items() if own] + [_sum("all", everything)]


def _sum(name: str, jobs: list[Work]) -> Stage:
    times = [job.start_seconds + job.seconds for job in jobs]
    return Stage(
        name=name,
        jobs=len(jobs),
        seconds=sum(times),
        gpu_seconds=sum(time * job.gpus for time, job in zip(times, jobs, strict=True)),
        longest_s=max(times),
        policy_tokens=sum(job.policy_tokens for job in jobs),
        prm_tokens=sum(job.prm_tokens for job in jobs),
        size=sum(job.size for job in jobs),
    )


def _jobs(study: Study) -> Iterator[tuple[str, Work]]:
    script, fit = Work(start_seconds=SCRIPT_SECONDS), study.fit()
    yield from (("train", work.training(recipe)) for recipe in study.recipes())
    yield from (("problems", script) for _ in study.config["datasets"])
    for cell in study.cells():
        yield from study.model_jobs(*cell)
        yield "grade", study.grading(*cell)
        yield "difficulty", script
        yield "difficulty", work.evaluating(study.texts(*cell) // 2)
        yield "evaluate", study.evaluation(*cell)
    if study.has_cross_check():
        yield "grade", work.grading(sum(study.tokens(*cell) for cell in study.cells()))
    yield from (("evaluate", script) for _ in range(3))  # the tables
    if study.is_scored():
        yield "evaluate", script
    yield "fit", fit
    yield "compare", work.fitting(study.outcome_rows() // 8)
    if study.has_scores():
        yield "compare", work.fitting(study.outcome_rows() // 8)
    figure = Work(start_seconds=FIGURE_SECONDS)
    yield from (("figures", figure) for _ in of_study(figures(), study))
    notebook = Work(start_seconds=NOTEBOOK_SECONDS)
    yield from (("notebooks", notebook) for _ in study.notebooks())
    yield "report", figure
