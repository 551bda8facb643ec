"""What jobs of small and large models ask of Kubernetes, with the shipped profile."""

import json
import subprocess
import sys

import pytest
import yaml
from testtime.study import catalog

pytest.importorskip("snakemake_executor_plugin_kubernetes")

SMALL, LARGE, PRM = "qwen2.5-0.5b-instruct", "qwen2.5-72b-instruct", "qwen2.5-math-prm-72b"


@pytest.fixture(scope="module")
def jobs(root, tmp_path_factory):
    """Every job that the cluster would get, with its container's requests and limits."""
    folder = tmp_path_factory.mktemp("pods")
    config = yaml.safe_load((root / "workflow/studies/paper.yaml").read_text())
    config |= {"policies": [SMALL, LARGE], "prms": [PRM], "datasets": ["math500"]}
    (folder / "study.yaml").write_text(yaml.safe_dump(config | {"results": str(folder)}))
    done = subprocess.run(
        [sys.executable, root / "tests/pod_specs.py", folder / "study.yaml"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def _pod(job):
    return job["job"]["spec"]["template"]["spec"]


def _resources(job):
    (container,) = _pod(job)["containers"]
    return container["resources"]


def _gpus(job):
    return int(_resources(job)["limits"].get("nvidia.com/gpu", 0))


def test_a_job_gets_the_gpus_of_all_its_models(jobs):
    known = catalog.load()
    policies = {name: known.policy(name).gpus for name in (SMALL, LARGE)}
    prm = known.prm(PRM).gpus
    assert (policies[SMALL], policies[LARGE], prm) == (1, 4, 4)
    found = {(job["rule"], job["policy"]): _gpus(job) for job in jobs if job.get("policy")}
    for name, gpus in policies.items():
        assert found["sample_pool", name] == gpus
        assert found["score_pool", name] == prm
        assert found["search_trees", name] == gpus + prm


def test_gpus_are_limits_as_kubernetes_wants_them_and_let_a_pod_onto_nodes_with_gpus(jobs):
    on_gpus = [job for job in jobs if _gpus(job)]
    assert {job["rule"] for job in on_gpus} == {"sample_pool", "score_pool", "search_trees"}
    for job in on_gpus:
        asked = _resources(job)
        assert asked["requests"]["nvidia.com/gpu"] == asked["limits"]["nvidia.com/gpu"]
        assert [t["key"] for t in _pod(job)["tolerations"]] == ["nvidia.com/gpu"]


def test_a_job_without_gpus_asks_for_none_and_stays_off_their_nodes(jobs):
    without = [job for job in jobs if not _gpus(job)]
    assert {"grade_samples", "evaluate_policy", "tabulate_lookup"} <= {j["rule"] for j in without}
    for job in without:
        assert "nvidia.com/gpu" not in _resources(job)["requests"]
        assert "tolerations" not in _pod(job)


def test_memory_and_cores_are_those_of_the_rule(jobs):
    for job in jobs:
        asked = _resources(job)
        assert asked["requests"]["memory"] == asked["limits"]["memory"] == f"{job['mem_mb']}M"
        assert asked["limits"]["cpu"] == f"{1000 * job['threads']}m"
    assert {job["threads"] for job in jobs if _gpus(job)} == {8}  # of studies/paper.yaml
