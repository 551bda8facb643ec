"""What jobs of a study ask of a scheduler, as JSON on the last line; run as a program.

python tests/submissions.py PROFILE CONFIG

The jobs are Snakemake's, the settings those of the shipped profile, the requests the plugin's own;
only the scheduler is not there.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from snakemake.api import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    ResourceSettings,
    SnakemakeApi,
)
from snakemake.cli import parse_args
from snakemake.logging import logger
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry


@contextmanager
def kubernetes(submitted: list) -> Iterator[None]:
    """Takes secrets and jobs."""
    import kubernetes as k8s

    def take(namespace, body):
        submitted.append(k8s.client.ApiClient().sanitize_for_serialization(body))

    cluster = mock.MagicMock(create_namespaced_job=take)
    with (
        mock.patch("kubernetes.config.load_kube_config"),
        mock.patch("kubernetes.client.CoreV1Api", return_value=cluster),
        mock.patch("kubernetes.client.BatchV1Api", return_value=cluster),
    ):
        yield


@contextmanager
def lsf(submitted: list) -> Iterator[None]:
    """Takes command lines of bsub."""
    import snakemake_executor_plugin_lsf as plugin

    def take(call, **options):
        submitted.append(call)
        return "Job <1> is submitted."

    cluster = {"LSF_MEMFMT": "percpu", "LSF_UNIT_FOR_LIMITS": "MB", "DEFAULT_QUEUE": "normal"}
    with (
        mock.patch.object(plugin.Executor, "get_lsf_config", return_value=cluster),
        mock.patch.object(plugin.Executor, "get_project_arg", return_value=""),
        mock.patch("subprocess.check_output", take),
    ):
        yield


@contextmanager
def htcondor(submitted: list) -> Iterator[None]:
    """Takes submit descriptions."""
    import snakemake_executor_plugin_htcondor as plugin

    def take(description):
        submitted.append({key: str(value) for key, value in description.items()})
        return mock.MagicMock()

    command = ("python", "-m snakemake", [], [], [])
    with (
        mock.patch.object(plugin.htcondor, "Schedd"),
        mock.patch.object(plugin.htcondor, "Submit", take),
        mock.patch.object(
            plugin.Executor, "_get_exec_args_and_transfer_files", return_value=command
        ),
    ):
        yield


SCHEDULERS = {"kubernetes": kubernetes, "lsf": lsf, "htcondor": htcondor}


def submit(args, jobs: list) -> list:
    """What the plugin of the profile submits for each job."""
    plugin = ExecutorPluginRegistry().get_plugin(args.executor)

    class Unreachable(plugin.executor):
        """The executor without Snakemake's side of it: threads and the command of a job."""

        def __init__(self):
            self.workflow = SimpleNamespace(
                executor_settings=plugin.get_settings(args),
                remote_execution_settings=SimpleNamespace(container_image=args.container_image),
                deployment_settings=SimpleNamespace(deployment_method=set()),
                persistence=SimpleNamespace(aux_path=Path.cwd()),
                storage_settings=SimpleNamespace(shared_fs_usage=args.shared_fs_usage),
                workdir_init=".",
            )
            self.logger, self.lock = logger, mock.MagicMock()
            self.__post_init__()

        def envvars(self):
            return {}

        def format_job_exec(self, job):
            return "snakemake"

        def report_job_submission(self, job_info):
            pass

    submitted = []
    with SCHEDULERS[args.executor](submitted):
        executor = Unreachable()
        for job in jobs:
            executor.run_job(job)
    return submitted


def main(root: Path, profile: str, config: Path) -> list[dict]:
    """Rule, wildcards, threads, memory, minutes and submission of each job that is no local one."""
    with SnakemakeApi(OutputSettings(dryrun=True)) as api:
        _, args = parse_args(["--profile", profile, "--configfile", str(config)])
        workflow = api.workflow(
            resource_settings=ResourceSettings(
                cores=64, nodes=args.jobs, default_resources=args.default_resources
            ),
            config_settings=ConfigSettings(configfiles=[config]),
            snakefile=root / "Snakefile",
        )
        workflow.dag(DAGSettings()).printrulegraph()  # builds the DAG and nothing more
        known = workflow._workflow
        jobs = [job for job in known.dag.jobs if job.rule.name not in known._localrules]
        os.chdir(config.parent)  # for what plugins write
        return [
            {"rule": job.rule.name, **job.wildcards_dict, "threads": job.threads}
            | {name: job.resources.get(name) for name in ("mem_mb", "runtime")}
            | {"submitted": submission}
            for job, submission in zip(jobs, submit(args, jobs), strict=True)
        ]


if __name__ == "__main__":
    print("\n" + json.dumps(main(Path.cwd(), sys.argv[1], Path(sys.argv[2]))))
