"""What a job sees of the GPUs that it was given through the shipped profile."""

import json

import pytest
import yaml
from cluster import missing, running
from needs import require
from studies import copy_checkout
from submitting import ON_SLURM, submit

pytestmark = pytest.mark.slurm

SNAKEFILE = """
rule all:
    input: expand("{name}.json", name=["pair", "one", "none"])
    localrule: True

rule look:
    output: "{name}.json"
    resources: gpu=lambda wildcards: {"pair": 2, "one": 1, "none": 0}[wildcards.name]
    run:
        import json, os
        names = ("CUDA_VISIBLE_DEVICES", "SLURM_NTASKS")
        with open(output[0], "w") as out:
            json.dump({name: os.environ.get(name) for name in names}, out)
"""


@pytest.fixture(scope="module")
def seen(root, tmp_path_factory):
    """Job -> what it found in its environment, and what Slurm says of it."""
    require("slurm", missing())
    folder = copy_checkout(root, tmp_path_factory.mktemp("gpus") / "study")
    (folder / "Snakefile").write_text(SNAKEFILE)
    profile = folder / "profiles/slurm/config.yaml"
    model = yaml.safe_dump({"set-resources": {"look": {"gpu_model": MODEL}}})
    profile.write_text(profile.read_text() + "\n" + model)
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        run = submit(folder, "run.log", *ON_SLURM)
        assert run.wait() == 0, (folder / "run.log").read_text()[-4000:]
        jobs = {job["Comment"].rpartition("_")[2]: job for job in cluster.jobs()}
    return {
        name: (json.loads((folder / f"{name}.json").read_text()), job) for name, job in jobs.items()
    }


# The test cluster has one GPU of each of two types; an expression leaves the pair to any.
MODEL = "'a100' if wildcards.name != 'pair' else ''"


def test_one_task_sees_all_gpus_of_its_job(seen):
    inside, job = seen["pair"]
    assert inside["CUDA_VISIBLE_DEVICES"].split(",") == ["0", "1"]
    assert job["NumTasks"] == "1"
    assert job["Partition"] == "gpu"


def test_the_profile_chooses_the_type_of_gpu(seen):
    inside, job = seen["one"]
    assert "gpu:a100:1" in job["TresPerJob"]
    assert len(inside["CUDA_VISIBLE_DEVICES"].split(",")) == 1


def test_a_job_without_gpus_gets_none_and_stays_off_their_partition(seen):
    inside, job = seen["none"]
    assert not inside["CUDA_VISIBLE_DEVICES"]
    assert job["Partition"] == "cpu"
