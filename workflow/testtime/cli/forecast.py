"""What a study will take, by stage: Snakemake's own jobs, with their estimated times."""

from dataclasses import dataclass

from testtime.cli.dag import study_jobs
from testtime.study.layout import STAGES
from testtime.study.study import Study
from testtime.study.work import Work


@dataclass(frozen=True)
class Stage:
    """What all jobs of a stage take together.

    Attributes:
        seconds: summed over jobs, loading included.
        starts: jobs that load models.
        start_seconds: summed over them, until their models are loaded.
        gpu_seconds: the same times the GPUs that each job holds.
        longest_s: of the longest job.
        size: bytes written.
    """

    name: str
    jobs: int = 0
    seconds: float = 0.0
    starts: int = 0
    start_seconds: float = 0.0
    gpu_seconds: float = 0.0
    longest_s: float = 0.0
    policy_tokens: float = 0.0
    prm_tokens: float = 0.0
    size: float = 0.0


def forecast(study: Study) -> list[Stage]:
    """One entry per stage that has jobs, in the order of the study, then one for all of them.

    Raises:
        UserError: Snakemake cannot plan the study; says why.
    """
    jobs = study_jobs(study)
    by_stage = {name: [job.work for job in jobs if job.stage == name] for name in STAGES}
    stages = [_sum(name, own) for name, own in by_stage.items() if own]
    return [*stages, _sum("all", [job.work for job in jobs])]


def _sum(name: str, jobs: list[Work]) -> Stage:
    times = [job.start_seconds + job.seconds for job in jobs]
    loads = [job.start_seconds for job in jobs if job.policy_tokens or job.prm_tokens]
    return Stage(
        name=name,
        jobs=len(jobs),
        seconds=sum(times),
        starts=len(loads),
        start_seconds=sum(loads),
        gpu_seconds=sum(time * job.gpus for time, job in zip(times, jobs, strict=True)),
        longest_s=max(times),
        policy_tokens=sum(job.policy_tokens for job in jobs),
        prm_tokens=sum(job.prm_tokens for job in jobs),
        size=sum(job.size for job in jobs),
    )
