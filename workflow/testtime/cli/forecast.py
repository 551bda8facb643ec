"""What a study will take, by stage: Snakemake's own jobs, with their estimated times."""

import csv
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from testtime.errors import UserError
from testtime.present import registry
from testtime.study.layout import ROOT, STAGE_OF, STAGES, TOGETHER, identify
from testtime.study.resources import job_work
from testtime.study.study import Study
from testtime.study.work import Work

Job = tuple[str, Work]  # its stage, and what it does
MODEL_RULES = ("sample_pool", "score_pool", "search_trees")  # import rules make single files


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
    by_stage = {name: [job for stage, job in jobs if stage == name] for name in STAGES}
    stages = [_sum(name, own) for name, own in by_stage.items() if own]
    return [*stages, _sum("all", [job for _, job in jobs])]


def study_jobs(study: Study) -> list[Job]:
    """Every job of a study, including those whose output exists already.

    Raises:
        UserError: Snakemake cannot plan the study; says why.
    """
    found: dict[tuple, Job] = {}
    stages = {f"tabulate_{name}": facts.stage for name, facts in registry.tables().items()}
    for row in _summary(study.config):
        # A rule that is made several times has numbers behind its name.
        rule, (kind, names) = re.sub(r"_\d+$", "", row["rule"]), identify(row["output_file"])
        together = {"table", *(TOGETHER[kind] if rule in MODEL_RULES else ())}
        wildcards = {key: value for key, value in names.items() if key not in together}
        key = (rule, *wildcards.items())
        if key not in found:
            stage = stages.get(rule) or STAGE_OF[kind]
            found[key] = (stage, job_work(study, rule, **wildcards))
    return list(found.values())


def _summary(config: dict) -> list[dict[str, str]]:
    """Snakemake's list of all output files of a study, with the rule that makes each.

    Reading the workflow writes what decides the jobs, so the results are put elsewhere for it.
    """
    command = [sys.executable, "-m", "snakemake", "--summary", "--nolock", "--cores", "1"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.yaml")
        file.write_text(yaml.safe_dump(config | {"results": f"{folder}/results"}))
        command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise UserError(f"Snakemake cannot plan this study: {' '.join(lines[-3:])}")
    return list(csv.DictReader(done.stdout.splitlines(), delimiter="\t"))


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
