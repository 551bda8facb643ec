"""What jobs of small and large models ask of schedulers beside Slurm, with the shipped profiles."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml
from needs import require
from snakemake.iocontainers import Wildcards
from snakemake.resources import Resources
from testtime.study import catalog
from testtime.study.resources import translate

SMALL, LARGE, PRM = "qwen2.5-0.5b-instruct", "qwen2.5-72b-instruct", "qwen2.5-math-prm-72b"
MODELS = {"sample_pool", "score_pool", "search_trees"}


def _pod(job):
    return job["submitted"]["spec"]["template"]["spec"]


def _container(job):
    (container,) = _pod(job)["containers"]
    return container["resources"]


def _ask_kubernetes(job):
    limits = _container(job)["limits"]
    cores = int(limits["cpu"].removesuffix("m")) / 1000
    return limits.get("nvidia.com/gpu", 0), cores, limits["memory"].removesuffix("M")


def _ask_lsf(job):
    line = job["submitted"]
    gpus = re.search(r" -gpu num=(\d+) ", line)
    cores = int(re.search(r" -n (\d+) ", line)[1])
    memory = float(re.search(r" -R rusage\[mem=([\d.]+)\] ", line)[1]) * cores  # by core
    return gpus[1] if gpus else 0, cores, round(memory)


def _ask_htcondor(job):
    asked = job["submitted"]
    number, unit = re.fullmatch(r"(\d+)(MB|GB)", asked["request_memory"]).groups()
    memory = int(number) * (1024 if unit == "GB" else 1)
    return asked.get("request_gpus", 0), asked["request_cpus"], memory


ASK = {"kubernetes": _ask_kubernetes, "lsf": _ask_lsf, "htcondor": _ask_htcondor}


@pytest.fixture(scope="module")
def study(root, tmp_path_factory):
    """A part of the published grid."""
    folder = tmp_path_factory.mktemp("submissions")
    config = yaml.safe_load((root / "workflow/studies/paper.yaml").read_text())
    config |= {"policies": [SMALL, LARGE], "prms": [PRM], "datasets": ["math500"]}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(config | {"results": str(folder / "results")}))
    return path


@pytest.fixture(scope="module", params=ASK)
def jobs(root, study, request):
    """Every job that the scheduler would get, with its GPUs, cores and memory (MB)."""
    missing = not find_spec(f"snakemake_executor_plugin_{request.param}")
    require(request.param, f"pip install -e '.[{request.param}]'" if missing else None)
    done = subprocess.run(
        [sys.executable, root / "tests/submissions.py", f"profiles/{request.param}", study],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for job in found:
        job["asked"] = tuple(map(int, ASK[request.param](job)))
    return found


def test_a_job_gets_the_gpus_of_all_its_models(jobs):
    known = catalog.load()
    policies = {name: known.policy(name).gpus for name in (SMALL, LARGE)}
    prm = known.prm(PRM).gpus
    assert (policies[SMALL], policies[LARGE], prm) == (1, 4, 4)
    found = {(job["rule"], job["policy"]): job["asked"][0] for job in jobs if job.get("policy")}
    for name, gpus in policies.items():
        assert found["sample_pool", name] == gpus
        assert found["score_pool", name] == prm
        assert found["search_trees", name] == gpus + prm


def test_a_job_without_models_asks_for_no_gpus(jobs):
    without = {job["rule"] for job in jobs if not job["asked"][0]}
    assert {"grade_samples", "evaluate_policy", "tabulate_lookup"} <= without
    assert not without & MODELS


def test_memory_and_cores_are_those_of_the_rule(jobs):
    for job in jobs:
        assert job["asked"][1:] == (job["threads"], job["mem_mb"]), job
    assert {job["threads"] for job in jobs if job["rule"] in MODELS} == {8}  # of the study


@pytest.mark.parametrize("jobs", ["kubernetes"], indirect=True)
def test_gpus_of_a_pod_are_limits_as_kubernetes_wants_them(jobs):
    for job in jobs:
        asked = _container(job)
        gpus = [asked[kind].get("nvidia.com/gpu") for kind in ("requests", "limits")]
        assert gpus == [str(job["asked"][0]) if job["asked"][0] else None] * 2


@pytest.mark.parametrize("jobs", ["kubernetes"], indirect=True)
def test_only_pods_with_gpus_may_be_on_nodes_that_are_kept_for_them(jobs):
    for job in jobs:
        tolerated = [toleration["key"] for toleration in _pod(job).get("tolerations", [])]
        assert tolerated == ["nvidia.com/gpu"] * (job["asked"][0] > 0)


@pytest.mark.parametrize("jobs", ["lsf"], indirect=True)
def test_lsf_gets_the_time_of_a_job(jobs):
    assert all(f" -W {job['runtime']} " in job["submitted"] for job in jobs)


def test_options_that_the_profile_has_for_all_jobs_stay():
    known = Resources.parse(["lsf_extra='-G theirs'"], allow_expressions=True)
    known["gpu"] = lambda wildcards: {"large": 2}.get(wildcards.policy)
    translate(known)
    facts = {"input": [], "attempt": 1, "threads": 1, "rulename": "", "async_run": None}
    for policy, options in [("large", "-G theirs -gpu num=2"), ("none", "-G theirs")]:
        wildcards = Wildcards(fromdict={"policy": policy})
        assert known["lsf_extra"].evaluate(wildcards, **facts).value == options
    assert "request_gpus" not in known
