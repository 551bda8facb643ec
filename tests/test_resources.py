"""What jobs ask of a scheduler: from the catalog's rates and the amount of work."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
import yaml
from testtime.cli.forecast import forecast
from testtime.study import work
from testtime.study.blocks import shard_names
from testtime.study.catalog import load
from testtime.study.config import read, validate
from testtime.study.study import Study

MODELS = {"sample_pool", "score_pool", "search_trees"}


@pytest.fixture(scope="module")
def attempts(root):
    """What every job of the published grid asks for at the first and at the third attempt."""
    program = [sys.executable, root / "tests/dag_jobs.py", root / "Snakefile"]
    study = root / "workflow/studies/paper.yaml"
    done = subprocess.run(
        [*program, study, "1", "3"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def jobs(attempts):
    return attempts[0]


@pytest.fixture(scope="module")
def paper(root):
    config = read(root / "workflow/studies/paper.yaml")
    return Study(config, validate(config))


def test_the_published_grid_stays_in_the_low_thousands_of_jobs(jobs):
    assert 1000 < len(jobs) < 5000


def test_plan_counts_the_jobs_that_are_submitted(jobs, paper):
    counted = {stage.name: stage.jobs for stage in forecast(paper)}
    rules = Counter(job["rule"] for job in jobs)
    stages = {"sample_pool": "generate", "score_pool": "score", "search_trees": "search"}
    for rule, stage in (stages | {"tabulate_lookup": "fit"}).items():
        assert rules[rule] == counted[stage]
    assert rules["grade_samples"] + rules["tabulate_grade_disagreements"] == counted["grade"]


def test_every_job_names_gpus_memory_and_time(jobs):
    assert {job["rule"] for job in jobs} >= MODELS | {"grade_samples", "tabulate_lookup"}
    for job in jobs:
        assert job["gpu"] >= 0, job
        assert job["mem_mb"] >= 1024, job
        assert 10 <= job["runtime"] <= 24 * 60, job
        assert (job["gpu"] > 0) == (job["rule"] in MODELS), job


def test_gpus_are_those_of_the_tensor_parallel_groups(jobs, paper):
    gpus = {name: spec.gpus for name, spec in (paper.catalog.policies | paper.catalog.prms).items()}
    assert gpus["qwen2.5-72b-instruct"] == gpus["qwen2.5-math-prm-72b"] == 4
    for job in jobs:
        if job["rule"] == "sample_pool":
            assert job["gpu"] == gpus[job["policy"]]
        if job["rule"] == "score_pool":
            assert job["gpu"] == gpus[job["prm"]]
        if job["rule"] == "search_trees" and "72b" in job["prm"] + job["policy"]:
            assert job["gpu"] == gpus[job["policy"]] + gpus[job["prm"]]


def test_a_search_has_one_gpu_where_it_holds_both_models():
    known = load()
    policy, prm = known.policy("qwen2.5-1.5b-instruct"), known.prm("qwen2.5-math-prm-7b")
    assert policy.memory_gb + prm.memory_gb == 64
    assert work.gpus_together(policy, prm, gpu_gb=80) == 1
    assert work.gpus_together(policy, prm, gpu_gb=40) == 2
    assert work.gpus_together(replace(policy, gpus=0), prm, gpu_gb=80) == 1
    assert work.gpus_together(replace(policy, gpus=2), prm, gpu_gb=80) == 3


def test_generation_has_twice_the_time_that_its_tokens_take(jobs, paper):
    spec = paper.catalog.policy("qwen2.5-0.5b-instruct")
    (job,) = [
        job
        for job in jobs
        if (job["rule"], job.get("policy"), job.get("block"))
        == ("sample_pool", spec.name, "64-256")
        and job["dataset"] == "math500"
    ]
    minutes = 500 * 192 * spec.typical_tokens / spec.rate / 60
    loading = (60 + spec.parameters * 2 / 5e8) / 60
    assert job["runtime"] == pytest.approx(2 * (minutes + loading), abs=1)


def test_a_large_prm_has_the_time_that_it_takes_to_read_a_small_policys_shard(jobs, paper):
    """Shards are cut by the policy's speed; a PRM's time comes from its own."""
    slow, quick = "qwen2.5-math-prm-72b", "skywork-prm-1.5b"
    spec, policy = paper.catalog.prm(slow), paper.catalog.policy("qwen2.5-0.5b-instruct")
    of = {
        job["prm"]: job
        for job in jobs
        if job["rule"] == "score_pool"
        and (job["policy"], job["dataset"], job["block"]) == (policy.name, "math500", "64-256")
    }
    minutes = 500 * 192 * policy.typical_tokens / spec.rate / 60
    assert of[slow]["runtime"] > 1.5 * minutes
    assert of[slow]["runtime"] > 3 * of[quick]["runtime"]


def test_searches_have_the_time_of_both_models(jobs, paper):
    slow = [
        job
        for job in jobs
        if job["rule"] == "search_trees" and job["prm"] == "qwen2.5-math-prm-72b"
    ]
    prm = paper.catalog.prm("qwen2.5-math-prm-72b")
    for job in slow:
        policy = paper.catalog.policy(job["policy"])
        low, high = [0, *map(int, job["block"].split("-"))][-2:]
        n = high - low if job["method"] == "dvts" else high
        shards = int(job["shard"].split("-of-")[1])
        problems = paper.n_problems(job["dataset"]) // shards
        tokens = problems * n * policy.typical_tokens
        seconds = tokens / policy.rate + min(tokens, problems * n * prm.context) / prm.rate
        assert job["runtime"] >= seconds / 60, job


def test_a_retry_asks_for_more_within_bounds(attempts):
    for first, third in zip(*attempts, strict=True):
        assert third["runtime"] == min(3 * first["runtime"], 24 * 60)
        assert third["mem_mb"] == pytest.approx(min(3 * first["mem_mb"], 256 * 1024), abs=3)


def test_work_asks_for_twice_its_time_but_never_less_than_ten_minutes():
    assert work.Work(seconds=3600, start_seconds=60).minutes(1, most_hours=24) == 122
    assert work.Work(seconds=3600, start_seconds=60).minutes(2, most_hours=24) == 244
    assert work.Work(seconds=3600).minutes(9, most_hours=2.5) == 150
    assert work.Work(seconds=1).minutes(1, most_hours=24) == 10


def test_weights_pass_through_ram_on_their_way_to_a_gpu():
    spec = load().policy("qwen2.5-7b-instruct")
    weights = spec.parameters * 2 / 2**30
    assert work.ram_gb(spec, "transformers") == pytest.approx(12 + weights)
    many = replace(spec, gpus=4)
    assert work.ram_gb(many, "vllm") == pytest.approx(24 + weights / 4)
    assert work.ram_gb(replace(spec, gpus=0, memory_gb=20.0), "transformers") == 20.0


def test_a_model_without_a_rate_gets_a_guess_that_falls_with_its_size():
    small, large = (replace(load().policy("micro-l"), rate=None, gpus=1, parameters=p)
                    for p in (8e9, 7e10))  # fmt: skip
    assert work.rate(small) > 5 * work.rate(large) > 0


@pytest.mark.parametrize("name", ["smoke", "from-scratch", "one-gpu"])
def test_every_job_of_a_study_is_counted_once(root, monkeypatch, name):
    """Snakemake's jobs are as many as the study has blocks and shards."""
    monkeypatch.chdir(root)
    config = read(f"workflow/studies/{name}.yaml")
    study = Study(config, validate(config))
    jobs = {stage.name: stage.jobs for stage in forecast(study)}
    drawn = {
        (*cell, block): len(study.generation_shards(*cell, block))
        for cell in study.cells()
        for block in study.all_blocks(cell[1])
    }
    assert jobs["generate"] == sum(drawn.values())
    pooled = [n for (*_, block), n in drawn.items() if "-" in block]
    assert jobs["score"] == len(config["prms"]) * sum(pooled)
    searches = [search for cell in study.cells() for search in study.searches(*cell)]
    assert jobs["search"] == sum(len(study.search_shards(**search)) for search in searches)
    assert jobs["grade"] == len(study.cells()) + study.has("cross_check")
    assert jobs["all"] == sum(n for stage, n in jobs.items() if stage != "all")


def test_shards_of_a_search_follow_both_rates():
    config = read()
    study = Study(config, validate(config))
    slow = yaml.safe_load("{catalog: {prms: {micro-prm-good: {rate: 10}}}}")
    config = config | slow
    slowed = Study(config, validate(config))
    cell = ("microcosm", "micro-s", "micro-prm-good", "beam_search", "64")
    assert study.search_shards(*cell) == shard_names(200, 1, 3600) == ["1-of-1"]
    assert len(slowed.search_shards(*cell)) > 20
