"""The jobs of a study and what each waits for, as Snakemake plans them.

python -m testtime.cli.dag CONFIG prints them as JSON, in a process of its own: reading a workflow
changes more than it should of the one that reads it.
"""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from testtime.errors import UserError
from testtime.present import registry
from testtime.study.layout import ROOT, STAGE_OF, identify
from testtime.study.resources import job_work
from testtime.study.study import Study
from testtime.study.work import Work


@dataclass(frozen=True)
class Job:
    """A job of a study.

    Attributes:
        rule: its rule's name, without the number of one that is made several times.
        wildcards: of the rule.
        stage: of the study.
        work: what it does.
        waits_for: indices of the jobs whose files it reads.
        priority: Snakemake starts jobs of a higher one first.
        local: whether it runs beside Snakemake, and not on a cluster's nodes.
    """

    rule: str
    wildcards: dict[str, str]
    stage: str
    work: Work
    waits_for: tuple[int, ...]
    priority: float
    local: bool


def study_jobs(study: Study) -> list[Job]:
    """Every job of a study, including those whose output exists already.

    Raises:
        UserError: Snakemake cannot plan the study; says why.
    """
    stages = {f"tabulate_{name}": facts.stage for name, facts in registry.tables().items()}
    jobs = []
    for row in _planned(study.config):
        rule = re.sub(r"_\d+$", "", row["rule"])
        kind, _ = identify(row.pop("output"))
        jobs.append(
            Job(
                **row
                | {"rule": rule, "stage": stages.get(rule) or STAGE_OF[kind]}
                | {"work": job_work(study, rule, **row["wildcards"])}
                | {"waits_for": tuple(row["waits_for"])}
            )
        )
    return jobs


def _planned(config: dict) -> list[dict]:
    """What Snakemake says of every job.

    Reading the workflow writes what decides the jobs, so the results are put elsewhere for it.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.yaml")
        file.write_text(yaml.safe_dump(config | {"results": f"{folder}/results"}))
        command = [sys.executable, "-m", __name__, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise UserError(f"Snakemake cannot plan this study: {' '.join(lines[-3:])}")
    return json.loads(done.stdout.splitlines()[-1])


def _plan(config: Path) -> list[dict]:
    """Rule, wildcards, first output, dependencies and priority of every job but `all`."""
    from snakemake.api import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        ResourceSettings,
        SnakemakeApi,
    )

    with SnakemakeApi(OutputSettings(dryrun=True)) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[config]),
            snakefile=ROOT / "Snakefile",
        )
        workflow.dag(DAGSettings()).printrulegraph()  # builds the DAG and nothing more
        dag, local = workflow._workflow.dag, workflow._workflow._localrules
        jobs = sorted((job for job in dag.jobs if job.output), key=lambda job: job.output[0])
        numbers = {job: number for number, job in enumerate(jobs)}
        return [
            {
                "rule": job.rule.name,
                "wildcards": job.wildcards_dict,
                "output": str(job.output[0]),
                "waits_for": sorted(numbers[needed] for needed in dag.dependencies[job]),
                "priority": job.rule.expand_priority(job.wildcards, job.input, 1),
                "local": job.rule.name in local,
            }
            for job in jobs
        ]


if __name__ == "__main__":
    print("\n" + json.dumps(_plan(Path(sys.argv[1]))))
