"""What jobs ask of a scheduler: from the catalog's rates and the amount of work."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
import yaml
from snakemake.iocontainers import Wildcards
from testtime.cli.forecast import forecast
from testtime.study import memory, work
from testtime.study.catalog import load
from testtime.study.config import read, validate
from testtime.study.resources import priority
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


def test_the_published_grid_stays_below_1500_jobs(jobs):
    assert 400 < len(jobs) < 1500


def test_plan_counts_the_jobs_that_are_submitted(jobs, paper):
    counted = {stage.name: stage.jobs for stage in forecast(paper)}
    rules = Counter(job["rule"] for job in jobs)
    stages = {"sample_pool": "generate", "score_pool": "score", "search_trees": "search"}
    for rule, stage in (stages | {"tabulate_lookup": "fit"}).items():
        assert rules[rule] == counted[stage]
    assert sum(rules[rule] for rule in stages) == sum(n.starts for n in forecast(paper)[:-1])
    assert rules["grade_samples"] + rules["tabulate_grade_disagreements"] == counted["grade"]


def test_every_job_names_gpus_memory_and_time(jobs):
    assert {job["rule"] for job in jobs} >= MODELS | {"grade_samples", "tabulate_lookup"}
    for job in jobs:
        assert job["mem_mb"] >= 1024, job
        assert 10 <= job["runtime"] <= 24 * 60, job
        # No number at all where there are none: Kubernetes would take a 0 for a request.
        assert (job["gpu"] is not None) == (job["rule"] in MODELS), job


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
    # Their weights take 18.3 GB, each cache 2 GB more, and 8 % of a GPU stay free.
    assert memory.gpus_together(policy, prm, gpu_gb=24.3) == 1
    assert memory.gpus_together(policy, prm, gpu_gb=24.2) == 2
    assert memory.gpus_together(replace(policy, gpus=0), prm, gpu_gb=80) == 1
    assert memory.gpus_together(replace(policy, gpus=2), prm, gpu_gb=80) == 3


@pytest.mark.parametrize("policy", ["llama-3.1-8b-instruct", "qwen2.5-14b-instruct"])
@pytest.mark.parametrize(
    "prm", ["qwen2.5-math-prm-7b", "skywork-prm-7b", "math-shepherd-mistral-7b"]
)
def test_the_published_searches_share_a_gpu_of_80_gb(policy, prm):
    assert memory.gpus_together(load().policy(policy), load().prm(prm), gpu_gb=80) == 1


def test_generation_has_twice_the_time_that_its_tokens_take(jobs, paper):
    spec = paper.catalog.policy("qwen2.5-0.5b-instruct")
    (job,) = [
        job
        for job in jobs
        if (job["rule"], job.get("policy"), job.get("dataset"))
        == ("sample_pool", spec.name, "math500")
    ]
    minutes = 500 * (1 + 256 + 64) * spec.typical_tokens / paper.rate(spec) / 60
    loading = (60 + spec.parameters * 2 / 5e8) / 60
    assert job["runtime"] == pytest.approx(2 * (minutes + loading), abs=1.5)


def test_a_large_prm_has_the_time_that_it_takes_to_read_a_small_policys_shard(jobs, paper):
    """The time of scores follows the PRM's own speed."""
    slow, quick = "qwen2.5-math-prm-72b", "skywork-prm-1.5b"
    spec, policy = paper.catalog.prm(slow), paper.catalog.policy("qwen2.5-0.5b-instruct")
    asked = {slow: [], quick: []}
    for job in jobs:
        if (job["rule"], job.get("policy"), job.get("dataset")) == (
            *("score_pool", policy.name, "math500"),
        ) and job["prm"] in asked:
            asked[job["prm"]].append(job["runtime"])
    minutes = 500 * 256 * min(1.5 * policy.typical_tokens, spec.context) / paper.rate(spec) / 60
    assert sum(asked[slow]) > 2 * minutes
    assert sum(asked[slow]) > 3 * sum(asked[quick])


def test_searches_have_the_time_of_both_models(jobs, paper):
    slow = [
        job
        for job in jobs
        if job["rule"] == "search_trees" and job["prm"] == "qwen2.5-math-prm-72b"
    ]
    prm = paper.catalog.prm("qwen2.5-math-prm-72b")
    for job in slow:
        policy = paper.catalog.policy(job["policy"])
        n = 4 + 16 + 64 + 256 + 256  # every beam search; DVTS is one pool
        shards = int(job["shard"].split("-of-")[1])
        problems = paper.n_problems(job["dataset"]) // shards
        tokens = problems * n * policy.typical_tokens
        seconds = tokens / paper.rate(policy)
        seconds += min(tokens, problems * n * prm.context) / paper.rate(prm)
        assert job["runtime"] >= seconds / 60, job


def test_the_cross_check_has_the_time_of_the_answers_that_it_compares(jobs, paper):
    """At most 2,000 of each policy and dataset at 0.05 s by 8 processes, not all tokens' time."""
    (job,) = [job for job in jobs if job["rule"] == "tabulate_grade_disagreements"]
    comparing = len(paper.cells()) * 2000 * 0.05 / 8 / 60
    assert 2 * comparing <= job["runtime"] < 60


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
    assert memory.ram_gb(spec, "transformers") == pytest.approx(12 + weights)
    many = replace(spec, gpus=4)
    assert memory.ram_gb(many, "vllm") == pytest.approx(24 + weights / 4)
    on_cpu = replace(spec, gpus=0, memory_gb=20.0)
    assert memory.ram_gb(on_cpu, "transformers") == 20.0
    assert memory.ram_gb(on_cpu, "vllm") == 22.0  # its own processes


@pytest.mark.parametrize("name", ["smoke", "from-scratch", "one-gpu"])
def test_every_job_of_a_study_is_counted_once(root, monkeypatch, name):
    """Snakemake's jobs are as many as the study has cells and shards."""
    monkeypatch.chdir(root)
    config = read(f"workflow/studies/{name}.yaml")
    study = Study(config, validate(config))
    jobs = {stage.name: stage.jobs for stage in forecast(study)}
    assert jobs["generate"] == sum(len(study.shards(*cell)) for cell in study.cells())
    pairs = [(*cell, prm) for cell in study.cells() for prm in study.scorers(cell[1])]
    assert jobs["score"] == sum(len(study.score_shards(*pair)) for pair in pairs)
    searched = [pair for pair in pairs if study.search_methods(pair[1])]
    assert jobs["search"] == sum(len(study.search_shards(*pair)) for pair in searched)
    assert jobs["grade"] == len(study.cells()) + study.has("cross_check")
    assert jobs["all"] == sum(n for stage, n in jobs.items() if stage != "all")


def test_one_gpu_loads_each_model_once_per_cell(root, monkeypatch):
    monkeypatch.chdir(root)
    config = read("workflow/studies/one-gpu.yaml")
    stages = forecast(Study(config, validate(config)))
    assert {s.name: s.starts for s in stages if s.starts} == {
        **{"generate": 4, "score": 8, "search": 8},
        "all": 20,
    }
    assert stages[-1].start_seconds > 20 * 60  # as vLLM takes a minute to start


def test_the_longest_jobs_come_first_and_those_that_others_wait_for():
    config = read()
    study = Study(config, validate(config))
    models = {"dataset": "microcosm", "policy": "micro-l", "shard": "1-of-1"}
    drawing = priority(study, "sample_pool")(Wildcards(fromdict=models))
    scoring, searching = (
        [
            priority(study, rule)(Wildcards(fromdict=models | {"prm": prm}))
            for prm in ("micro-prm-weak", "micro-prm-good")
        ]
        for rule in ("score_pool", "search_trees")
    )
    assert drawing > max(scoring)
    smaller = Wildcards(fromdict=models | {"policy": "micro-xs", "prm": "micro-prm-good"})
    assert searching[1] > priority(study, "search_trees")(smaller)


def test_shards_of_a_search_follow_both_rates():
    config = read()
    study = Study(config, validate(config))
    slow = yaml.safe_load("{catalog: {prms: {micro-prm-good: {rate: 10}}}}")
    config = config | slow
    slowed = Study(config, validate(config))
    cell = ("microcosm", "micro-s", "micro-prm-good")
    assert study.search_shards(*cell) == ["1-of-1"]
    assert len(slowed.search_shards(*cell)) > 20
