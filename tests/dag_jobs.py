"""What every job of a study asks of a scheduler, as JSON on the last line; run as a program.

python tests/dag_jobs.py Snakefile CONFIG ATTEMPT...
"""

import json
import sys
from pathlib import Path

from snakemake.api import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    ResourceSettings,
    SnakemakeApi,
)


def jobs(snakefile: Path, config: Path, attempts: list[int]) -> list[list[dict]]:
    """Per attempt: rule, wildcards, resources and threads of each job that a cluster would get."""
    with SnakemakeApi(OutputSettings(dryrun=True)) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=64),
            config_settings=ConfigSettings(configfiles=[config]),
            snakefile=snakefile,
        )
        workflow.dag(DAGSettings()).printrulegraph()  # builds the DAG and nothing more
        known = workflow._workflow
        submitted = [job for job in known.dag.jobs if job.rule.name not in known._localrules]
        return [[describe(job, attempt) for job in submitted] for attempt in attempts]


def describe(job, attempt: int) -> dict:
    job.attempt = attempt
    resources = {key: job.resources.get(key) for key in ("gpu", "mem_mb", "runtime")}
    return {"rule": job.rule.name, **job.wildcards_dict, **resources, "threads": job.threads}


if __name__ == "__main__":
    snakefile, config, *attempts = sys.argv[1:]
    print("\n" + json.dumps(jobs(Path(snakefile), Path(config), [int(n) for n in attempts])))
