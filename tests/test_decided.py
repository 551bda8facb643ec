"""What decides a cell: a change of it recomputes all that follows, whatever Snakemake remembers."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from safetensors.numpy import load_file, save_file
from small_study import SmallStudy
from studies import copy_checkout
from testtime.data.decided import cells
from testtime.data.store import read_parquet, stamp_of
from testtime.runtime.lock import hold
from testtime.study.catalog import of_study
from testtime.study.config import read
from testtime.study.study import Study
from testtime.study.types import Problem

STUDY = {
    "policies": ["own"],
    "prms": ["micro-prm-good"],
    "methods": ["cot", "majority", "best_of_n", "dvts"],
    "problems": {"limit": 5},
    "budgets": {"pool": [2, 8], "search": [4, 8]},
    "difficulty": {"samples": 4},
}
MADE = ("problems", "answers", "generations", "scores", "searches")


def of_policy(**values):
    def change(study):
        own = study.config["catalog"]["policies"]["own"] | values
        study.change({"catalog": {"policies": {"own": own}}})

    return change


def change_weights(study):
    """The same files, with other numbers in one of them."""
    path = Path(study.config["catalog"]["policies"]["own"]["model"], "model.safetensors")
    noise = np.random.default_rng(0)
    tensors = {
        name: (values + noise.normal(0, 0.02, values.shape)).astype(values.dtype)
        for name, values in load_file(path).items()
    }
    save_file(tensors, path, metadata={"format": "pt"})


def raise_format(study):
    """Another checkout, in which the samples' format has a higher number."""
    study.checkout = copy_checkout(ROOT, study.folder.parent / "checkout")
    path = study.checkout / "workflow/testtime/data/decided.py"
    path.write_text(re.sub(r'"(generate|score|search)": \d+', r'"\1": 99', path.read_text()))
    assert path.read_text().count(": 99") == 3


CHANGES = {
    "prompt": of_policy(prompt="boxed"),
    "weights": change_weights,
    "format": raise_format,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decided") / "model"
    shutil.copytree(ROOT / "workflow/resources/microcosm/micro-xs", folder)
    return folder


@pytest.fixture(scope="module")
def finished(model):
    own = {"own": {"base": "micro-xs", "model": str(model)}}
    study = SmallStudy(model.parent / "study", STUDY | {"catalog": {"policies": own}})
    study.run_models()
    return study


@pytest.fixture
def weights(model):
    """The model's weights, put back after a test."""
    path = model / "model.safetensors"
    before = path.read_bytes()
    yield lambda: path.write_bytes(before)
    path.write_bytes(before)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_recomputes_what_follows_it(finished, weights, tmp_path, name):
    changed = SmallStudy(tmp_path / "changed", finished.config)
    CHANGES[name](changed)
    changed.run_models()
    assert changed.kept("search").keys().isdisjoint(finished.kept("search"))
    everything = finished.kept() | changed.kept()

    # A run with the change is killed, and the setting changed back.
    study = finished.copied(tmp_path / "study")
    set_as(study, changed)
    assert study.kill() is not None
    before = study.kept()
    weights()
    set_as(study, finished)
    study.run_models()
    assert study.kept() == before
    assert_same(study, finished)

    # The change again, where Snakemake has no records, as after copying results.
    shutil.rmtree(study.folder / ".snakemake")
    if name == "weights":
        change_weights(study)
    set_as(study, changed)
    study.run_models()
    assert study.kept() == everything
    assert_same(study, changed)

    # The setting changed back, and files of the changed study copied into their place.
    weights()
    set_as(study, finished)
    study.run_models()
    assert_same(study, finished)
    for kind in ("problems", "answers", "generations", "scores", "searches"):
        shutil.copytree(changed.results / kind, study.results / kind, dirs_exist_ok=True)
    shutil.rmtree(study.folder / ".snakemake")
    study.run_models()
    assert study.kept() == everything
    assert_same(study, finished)


def test_dry_runs_of_other_settings_leave_nothing_to_do(finished, tmp_path):
    study = finished.copied(tmp_path / "study")
    for _ in range(3):
        study.change({"seed": 7})
        assert "sample_pool" in study.run(*study.files(), "--dry-run")
    study.change({})
    assert "Nothing to be done" in study.run(*study.files(), "--dry-run")


def test_other_settings_are_refused_beside_a_run(finished, tmp_path):
    study = finished.copied(tmp_path / "study")
    descriptor = hold(study.results)
    try:
        assert "Nothing to be done" in study.run(*study.files(), "--dry-run")
        study.change({"seed": 7})
        done = subprocess.run(
            study.command("--dry-run"), capture_output=True, text=True, check=False
        )
    finally:
        os.close(descriptor)
    assert done.returncode != 0
    assert "a run with other settings is writing to results" in done.stdout + done.stderr


def set_as(study, other):
    study.file.write_text(other.file.read_text())
    study.checkout = other.checkout


def assert_same(study, other):
    """The files have the stamps and texts of the other study's, and as many scores."""
    assert study.files() == other.files()
    for name in [*study.files(), "results/problems/microcosm.parquet"]:
        paths = study.folder / name, other.folder / name
        assert stamp_of(paths[0]) == stamp_of(paths[1]), name
        rows, expected = map(read_parquet, paths)
        known = [column for column in ("problem_id", "problem", "text") if column in rows]
        assert rows[known].equals(expected[known]), name
        if "scores" in rows:  # a batch of another size rounds differently
            for scores, wanted in zip(rows["scores"], expected["scores"], strict=True):
                assert list(scores) == pytest.approx(list(wanted), abs=1e-4)


def test_where_paths_end_decides_searches_alone_and_its_default_changes_no_stamp():
    config = read()
    plain, changed = (
        {cell.record: cell for cell in cells(Study(c, of_study(c)))}
        for c in (config, config | {"paths_end_at": "boxed"})
    )
    problem, kind = Problem("p", "1 + 1"), ("dvts", 4)
    for record, cell in plain.items():
        searched = cell.stage == "search"
        assert (changed[record].stamp != cell.stamp) == searched
        if searched:
            # What decided a search before the setting existed.
            assert set(cell.decided) == {"dataset", "limit", "policy", "prm", "beam_width"}
            old, new = (c.row_stamps(lambda spec: spec.name) for c in (cell, changed[record]))
            assert old(problem, *kind) != new(problem, *kind)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 7},
        {"catalog": {"policies": {"micro-xs": {"temperature": 0.5}}}},
        {"catalog": {"policies": {"micro-xs": {"max_tokens": 50}}}},
        {"catalog": {"policies": {"micro-xs": {"context": 100}}}},
    ],
    ids=["seed", "temperature", "max_tokens", "context"],
)
def test_settings_of_sampling_decide_samples_and_all_that_follows_them(changes):
    config = {**read(), "policies": ["micro-xs"]}
    plain, changed = (list(cells(Study(c, of_study(c)))) for c in (config, {**config, **changes}))
    problem = Problem("p", "1 + 1")
    kinds = {"generate": ("pool",), "search": ("beam_search", 4)}
    for before, after in zip(plain, changed, strict=True):
        assert before.record == after.record
        assert before.stamp != after.stamp
        if before.stage in kinds:
            rows = [c.row_stamps(lambda spec: spec.name) for c in (before, after)]
            assert len({stamp_of_row(problem, *kinds[before.stage]) for stamp_of_row in rows}) == 2
