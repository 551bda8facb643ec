"""What runs again after a change: each line of the table in docs/what-reruns.md, by a dry run."""

import re
import shutil
from collections.abc import Callable
from contextlib import contextmanager

import pytest
from conftest import ROOT
from studies import SMOKE, copy_checkout, planned, snakemake

PAGE = ROOT / "docs/what-reruns.md"
COLUMNS = {"samples": "sample_pool", "scores": "score_pool", "searches": "search_trees"}
HEAVY = {"train_policy", "train_prm", *COLUMNS.values()}
# What of the rest a change may bring: the word in the table, and the jobs that it stands for.
REST = {
    "training": r"train_",
    "problems": r"make_problems",
    "grades": r"grade_samples",
    "tables": r"evaluate_policy|tabulate_",
    "figures": r"draw_figure",
    "report": r"write_report",
}


def rows():
    """The table: change -> its cells."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: values for name, *values in cells[1:]}


def of_policy(**changes):
    return lambda smoke, study: {"catalog": {"policies": {smoke["policies"][0]: changes}}}


def of_prm(**changes):
    return lambda smoke, study: {"catalog": {"prms": {smoke["prms"][0]: changes}}}


def add(kind, catalog):
    """Another model of the study: one that it trained, under another name."""

    def overlay(smoke, study):
        name = smoke[kind][0]
        folder = str(study / smoke["results"] / "models" / name)
        entry = smoke["catalog"][catalog][name] | {"train": None, "model": folder}
        return {kind: [*smoke[kind], "twin"], "catalog": {catalog: {"twin": entry}}}

    return overlay


def budget(kind):
    def overlay(smoke, study):
        known = smoke["budgets"][kind]
        return {"budgets": {kind: [*known, 2 * known[-1]]}}

    return overlay


def between(kind):
    def overlay(smoke, study):
        known = smoke["budgets"][kind]
        return {"budgets": {kind: [*known[:-1], (known[-2] + known[-1]) // 2, known[-1]]}}

    return overlay


CONFIG: dict[str, Callable] = {
    "nothing": lambda smoke, study: {},
    "one more policy": add("policies", "policies"),
    "one more PRM": add("prms", "prms"),
    "one more dataset": lambda smoke, study: {
        "datasets": [*smoke["datasets"], "more"],
        "catalog": {"datasets": {"more": {"base": "microcosm"}}},
    },
    "a larger pool budget": budget("pool"),
    "a pool budget between two others": between("pool"),
    "a larger search budget": budget("search"),
    "more problems": lambda smoke, study: {"problems": {"limit": smoke["problems"]["limit"] + 5}},
    "one more search method": lambda smoke, study: {"methods": [*smoke["methods"], "rebase"]},
    "one policy fewer": lambda smoke, study: {"policies": smoke["policies"][:1]},
    "another prompt of a policy": of_policy(prompt="boxed"),
    "another revision of a policy": of_policy(revision="0123abc"),
    "another temperature of a policy": of_policy(temperature=0.8),
    "another revision of a PRM": of_prm(revision="0123abc"),
    "another recipe of a PRM's training": of_prm(train={"seed": 2}),
    "another seed": lambda smoke, study: {"seed": 7},
    "another end of a search's paths": lambda smoke, study: {"paths_end_at": "boxed"},
    "another beam width": lambda smoke, study: {"beam_width": 2},
    "more held-out samples": lambda smoke, study: {"difficulty": {"samples": 20}},
    "one scoring fewer": lambda smoke, study: {"scorings": ["min", "last"]},
    "other bootstrap settings": lambda smoke, study: {"evaluate": {"bootstrap": 300}},
    "another rate (tokens per second) of a model": of_policy(rate=1234),
    "threads, memory or job lengths": lambda smoke, study: {
        "threads": 2,
        "jobs": {"hours": 2, "max_hours": 48},
        "catalog": {"policies": {smoke["policies"][0]: {"memory_gb": 3, "typical_tokens": 40}}},
    },
}
EDITS = {
    "an edit of the code that samples, scores or searches": [
        "workflow/testtime/sample.py",
        "workflow/testtime/score.py",
        "workflow/testtime/search/beam_search.py",
        "workflow/testtime/engines/transformers/batch.py",
        "workflow/scripts/sample_pool.py",
    ],
    "an edit of the code that grades": ["workflow/testtime/grade/grading.py"],
    "an edit of the code that evaluates": ["workflow/testtime/evaluate/votes.py"],
    "an edit of the figures' style": ["workflow/testtime/present/figures/style.py"],
    "an edit of a figure or its caption": ["workflow/testtime/present/figures/lookup_heatmap.py"],
    "the format number of a stage (generate)": ["workflow/testtime/data/decided.py"],
}


def assert_as_told(jobs, told):
    *counts, rest = told
    found = [str(jobs[rule]) for rule in COLUMNS.values()]
    assert found == counts, jobs
    named = set() if rest == "nothing" else set(re.split(r", | and ", rest))
    assert named <= set(REST), named
    for word, pattern in REST.items():
        runs = any(re.match(pattern, rule) for rule in jobs)
        assert runs == (word in named), (word, jobs)


def test_the_table_has_a_line_for_each_change_that_is_tested():
    assert set(rows()) == {
        *CONFIG,
        *EDITS,
        "the checkout moved",
        "another checkout of the same code",
    }


@pytest.mark.parametrize("change", CONFIG)
def test_a_change_of_the_config_runs_what_the_table_says(study, smoke, change):
    assert_as_told(planned(study, CONFIG[change](smoke, study)), rows()[change])


@contextmanager
def edited(study, files):
    before = {study / name: (study / name).read_text() for name in files}
    try:
        for path, text in before.items():
            raised = text.replace('"generate": 2', '"generate": 3')
            path.write_text(raised if raised != text else text + "\n# edited\n")
        yield
    finally:
        for path, text in before.items():
            path.write_text(text)


@pytest.mark.parametrize("change", EDITS)
def test_an_edit_runs_what_the_table_says(study, change):
    with edited(study, EDITS[change]):
        jobs = planned(study)
    assert_as_told(jobs, rows()[change])


def test_a_checkout_that_was_moved_has_nothing_to_do(study, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(study, moved, symlinks=True)  # keeps times, as mv does
    assert_as_told(planned(moved), rows()["the checkout moved"])


def test_another_checkout_goes_on_in_the_folder_of_the_first(root, study, tmp_path):
    """Results, and what Snakemake knows of them, stay where they are."""
    other = copy_checkout(root, tmp_path / "other")
    arguments = ("--snakefile", str(other / "Snakefile"))
    jobs = planned(study, arguments=arguments)
    assert_as_told(jobs, rows()["another checkout of the same code"])


def test_the_same_command_has_nothing_to_do(study):
    done = snakemake(study, "-n", "--configfile", SMOKE)
    assert "Nothing to be done" in done.stdout + done.stderr
