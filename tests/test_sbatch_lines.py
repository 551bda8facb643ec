"""What jobs of small and large models ask of Slurm, as submitted, with the shipped profile."""

import os
import subprocess
import sys
from contextlib import chdir

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from fake_slurm import install, submitted
from studies import copy_checkout
from testtime.data.decided import Cell, record
from testtime.data.store import write_parquet
from testtime.study import catalog, rates
from testtime.study.config import read, validate
from testtime.study.layout import identify
from testtime.study.study import Study

PAPER = "workflow/studies/paper.yaml"
SMALL, LARGE, PRM = "qwen2.5-0.5b-instruct", "qwen2.5-72b-instruct", "qwen2.5-math-prm-72b"
DATASET = "math500"
DRAWN = "qwen2.5-32b-instruct"  # whose samples are there


def _study():
    config = read(ROOT / PAPER)
    return Study(config, validate(config))


STUDY = _study()
# A file of a job of each kind.
SAMPLES = {name: STUDY.samples(DATASET, name, ["cot"])[0] for name in (SMALL, LARGE)}
SEARCHES = {name: STUDY.searches_by(PRM, DATASET, name)[0] for name in (SMALL, LARGE)}
SCORE = STUDY.scores_by(PRM, DATASET, DRAWN, ["16-64"])[0]


FLAGS = {"--parsable", "--requeue"}


def options(words):
    """Options of a command line by name; those that take their value after a space too."""
    found = {}
    words = iter(words)
    for word in words:
        name, equals, value = word.partition("=")
        found[name] = value if equals else next(words) if name not in FLAGS else ""
    return found


@pytest.fixture(scope="module")
def submissions(root, tmp_path_factory):
    """Work -> the options of its sbatch at each attempt."""
    folder = copy_checkout(root, tmp_path_factory.mktemp("paper") / "study")
    with chdir(folder):
        record(STUDY)
        made = [
            Cell(STUDY, "problems", DATASET),
            Cell(STUDY, "generate", DATASET, DRAWN),
        ]
        for cell in made:
            for path in STUDY.files_of(cell.stage, **cell.names):
                write_parquet(pd.DataFrame(), path, cell.stamp)
    commands = install(folder / "bin")
    targets = [*SAMPLES.values(), *SEARCHES.values(), SCORE]
    subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile", PAPER),
            *("--retries", "1", "--slurm-init-seconds-before-status-checks", "1", "--"),
            *targets,
        ],
        cwd=folder,
        env={**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
    )
    found = {}
    for words in submitted(commands):
        line = options(words)
        found.setdefault(line["--comment"].partition("_wildcards_")[2], []).append(line)
    return found


@pytest.fixture(scope="module")
def jobs(root):
    config = yaml.safe_load((root / "config.yaml").read_text())
    return config["jobs"] | {"threads": yaml.safe_load((root / PAPER).read_text())["threads"]}


def work(path):
    """A job as Slurm's comment names it: the wildcards of its rule, in the order of the path."""
    _, names = identify(path)
    together = ("block", "method")
    return "_".join(value for name, value in names.items() if name not in together)


EVERY = [*SAMPLES.values(), *SEARCHES.values(), SCORE]


@pytest.mark.parametrize("path", EVERY)
def test_each_job_is_one_task_on_one_node_with_the_threads_of_the_study(submissions, jobs, path):
    line = submissions[work(path)][0]
    assert line["--cpus-per-task"] == str(jobs["threads"])
    assert line.get("--ntasks", "1") == "1"
    assert "--ntasks-per-gpu" not in line
    assert line["--nodes"] == "1"


@pytest.mark.parametrize(
    ("path", "gpus"),
    [
        (SAMPLES[SMALL], 1),
        (SAMPLES[LARGE], 4),
        (SCORE, 4),
        (SEARCHES[SMALL], 1 + 4),
        (SEARCHES[LARGE], 4 + 4),
    ],
)
def test_a_job_asks_for_the_gpus_of_all_its_models(submissions, path, gpus):
    line = submissions[work(path)][0]
    assert line["--gpus"] == str(gpus)
    assert line["-p"] == "gpu"


def test_memory_is_the_nodes_and_grows_with_the_model(submissions, jobs):
    asked = [int(submissions[work(path)][0]["--mem"]) for path in EVERY]
    small, large, search_small, search_large, score = asked
    # A GPU's part of a 72B model in bfloat16 passes through the node's memory; all of a 0.5B one.
    part = 2 * catalog.load().policy(LARGE).parameters / 4 / 2**20
    assert small < 2**15 < part < large
    assert large < search_small < search_large
    assert part < score
    assert max(asked) <= 1024 * jobs["max_memory_gb"]


def test_time_covers_the_work_at_the_catalogs_rate(submissions, jobs):
    for name, path in SAMPLES.items():
        known = catalog.load()
        spec = known.policy(name)
        rate = rates.drawing(spec, known.gpu("h100"), "vllm")
        seconds = 500 * 4 * spec.typical_tokens / rate
        asked = int(submissions[work(path)][0]["-t"])
        assert seconds / 60 < asked <= 60 * jobs["max_hours"]


@pytest.mark.parametrize("path", EVERY)
def test_a_retry_asks_for_more_time_and_memory_of_the_same_gpus(submissions, path):
    first, second = submissions[work(path)]
    assert int(second["-t"]) > int(first["-t"])
    assert int(second["--mem"]) > int(first["--mem"])
    assert second["--gpus"] == first["--gpus"]
