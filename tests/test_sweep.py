"""`testtime sweep`, and what `testtime check` says of the store: what no study needs is told."""

import os

import pytest
import yaml
from small_study import SmallStudy
from testtime.cli import app
from testtime.errors import UserError
from testtime.runtime.lock import hold
from typer.testing import CliRunner

STUDY = {
    "policies": ["micro-xs", "micro-s"],
    "prms": ["micro-prm-good"],
    "methods": ["cot", "majority", "best_of_n", "dvts"],
    "problems": {"limit": 5},
    "budgets": {"pool": [2, 4], "search": [4, 8]},
    "difficulty": {"samples": 4},
}
OTHER = {"policies": ["micro-xs"], "seed": 7}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study whose seed was changed and one of whose policies was left out."""
    study = SmallStudy(tmp_path_factory.mktemp("sweep") / "study", STUDY)
    study.run_models()
    study.before = study.kept()
    study.change(OTHER)
    study.run_models()
    return study


@pytest.fixture
def study(finished, root, tmp_path, monkeypatch):
    monkeypatch.chdir(root)
    copied = finished.copied(tmp_path / "study")
    copied.before = finished.before
    return copied


def run(command, study, changes, *options):
    """The command for a study with these changes; returns what it prints."""
    file = study.folder / f"{len(changes)}.yaml"
    file.write_text(yaml.safe_dump(STUDY | changes | {"results": str(study.results)}))
    done = CliRunner().invoke(app, [command, str(file), *options])
    if isinstance(done.exception, Exception) and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout, str(file)


def test_rows_of_other_settings_go_and_the_others_stay(study):
    everything = study.kept()
    said, _ = run("sweep", study, OTHER, "--dry-run")
    lines = [line.split() for line in said.splitlines()[1:]]
    prm = "/micro-prm-good"
    assert [(stage, cell) for stage, cell, *_ in lines] == [
        (stage, f"microcosm/{policy}{scored}")
        for stage, scored in (("generate", ""), ("score", prm), ("search", prm))
        for policy in ("micro-s", "micro-xs")
    ]
    shares = [int(share.rstrip("%")) for *_, share in lines]
    assert set(shares[::2]) == {100}
    assert all(20 < share < 80 for share in shares[1::2])
    assert study.kept() == everything
    said, _ = run("sweep", study, OTHER)
    assert said.endswith("MB freed\n")
    assert study.kept() == everything - study.before
    assert run("sweep", study, OTHER)[0] == "every row is needed\n"


def test_rows_of_another_study_in_the_folder_may_stay(study):
    everything = study.kept()
    _, first = run("check", study, {})
    assert run("sweep", study, OTHER, "--also", first)[0] == "every row is needed\n"
    assert study.kept() == everything


def test_a_study_of_another_folder_cannot_protect_rows(study, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(STUDY | {"results": str(tmp_path / "elsewhere")}))
    with pytest.raises(UserError, match=r"--also .*other.yaml: its rows are in .*elsewhere"):
        run("sweep", study, OTHER, "--also", str(other))


def test_another_spelling_of_the_folder_is_the_same_folder(study, monkeypatch):
    monkeypatch.chdir(study.folder)
    relative = study.folder / "relative.yaml"
    relative.write_text(yaml.safe_dump(STUDY | {"results": "results"}))
    assert run("sweep", study, OTHER, "--also", "relative.yaml")[0] == "every row is needed\n"


def test_rows_of_a_cell_stay_whose_model_cannot_be_found(study):
    changes = OTHER | {"catalog": {"prms": {"micro-prm-good": {"model": "nobody/nowhere"}}}}
    kept = study.kept("s*")
    run("sweep", study, changes)
    micro_s = {row for row in kept if "/micro-s/" in row[0]}
    assert set(study.kept("s*")) == set(kept) - micro_s


def test_check_tells_what_is_not_needed(study):
    said, _ = run("check", study, OTHER)
    (line,) = [line for line in said.splitlines() if line.startswith("store    generate, 2 cells")]
    assert line.endswith("of it not needed (testtime sweep)")
    run("sweep", study, OTHER)
    said, _ = run("check", study, OTHER)
    (line,) = [line for line in said.splitlines() if line.startswith("store    generate, 1 cells")]
    assert line.endswith("ok")


def test_nothing_is_swept_beside_a_run(study):
    descriptor = hold(study.results)
    try:
        with pytest.raises(UserError, match="another run is writing"):
            run("sweep", study, OTHER)
    finally:
        os.close(descriptor)
