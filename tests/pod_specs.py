"""The pods that jobs of a study get on Kubernetes, as JSON on the last line; run as a program.

python tests/pod_specs.py CONFIG

The jobs are Snakemake's, the settings those of the shipped profile, the pods the plugin's own; only
the cluster is not there.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import kubernetes
from snakemake.api import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    ResourceSettings,
    SnakemakeApi,
)
from snakemake.cli import parse_args
from snakemake.logging import logger
from snakemake_executor_plugin_kubernetes import Executor
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry


class Cluster:
    """Takes secrets and jobs and starts none."""

    def __init__(self):
        self.submitted = []

    def create_namespaced_secret(self, namespace, secret):
        pass

    def create_namespaced_job(self, namespace, body):
        self.submitted.append(kubernetes.client.ApiClient().sanitize_for_serialization(body))


class Unreachable(Executor):
    """The plugin's executor without Snakemake's side of it: threads and the command of a job."""

    def __init__(self, workflow, cluster):
        self.workflow, self.logger, self.lock = workflow, logger, mock.MagicMock()
        with (
            mock.patch("kubernetes.config.load_kube_config"),
            mock.patch("kubernetes.client.CoreV1Api", return_value=cluster),
            mock.patch("kubernetes.client.BatchV1Api", return_value=cluster),
        ):
            self.__post_init__()

    def envvars(self):
        return {}

    def format_job_exec(self, job):
        return "snakemake"

    def report_job_submission(self, job_info):
        pass


def pods(args) -> list[dict]:
    """Rule, wildcards and pod of each job that the cluster would get."""
    with SnakemakeApi(OutputSettings(dryrun=True)) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(
                cores=64, nodes=args.jobs, default_resources=args.default_resources
            ),
            config_settings=ConfigSettings(configfiles=args.configfile),
            snakefile=Path("Snakefile"),
        )
        workflow.dag(DAGSettings()).printrulegraph()  # builds the DAG and nothing more
        known = workflow._workflow
        cluster = Cluster()
        plugin = ExecutorPluginRegistry().get_plugin(args.executor)
        executor = Unreachable(
            SimpleNamespace(
                executor_settings=plugin.get_settings(args),
                remote_execution_settings=SimpleNamespace(container_image=args.container_image),
                deployment_settings=SimpleNamespace(deployment_method=set()),
                persistence=SimpleNamespace(aux_path=Path(args.configfile[0]).parent),
            ),
            cluster,
        )
        submitted = [job for job in known.dag.jobs if job.rule.name not in known._localrules]
        for job in submitted:
            executor.run_job(job)
        return [
            {"rule": job.rule.name, **job.wildcards_dict, "threads": job.threads}
            | {"mem_mb": job.resources.mem_mb, "job": body}
            for job, body in zip(submitted, cluster.submitted, strict=True)
        ]


if __name__ == "__main__":
    profile = ["--profile", "profiles/kubernetes", "--configfile", sys.argv[1]]
    _, arguments = parse_args(profile)
    print("\n" + json.dumps(pods(arguments)))
