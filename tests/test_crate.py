"""`testtime crate`: every file that it lists is there as described, and validators accept it."""

import hashlib
import json
import zipfile
from importlib.resources import files

import pytest
import yaml
from testtime.cli import app
from testtime.data.decided import record
from testtime.study.config import read, validate
from testtime.study.study import Study
from typer.testing import CliRunner

pytest.importorskip("rocrate")
# What stands for the results of a finished study; a crate describes files, whatever they say.
MADE = ("report.html", "lookup.json", "tables/accuracy.csv", "figures/curve.png", "logs/fit/a.log")
GIVEN = ("problems/microcosm.parquet", "answers/microcosm.parquet")
LEFT_OUT = ("store/weights.json", "generations/microcosm/micro-xs/cot/1-of-1.parquet", ".lock")


@pytest.fixture
def study(root, tmp_path, monkeypatch):
    """The config of a finished study."""
    monkeypatch.chdir(root)
    results = tmp_path / "results"
    for name in (*MADE, *GIVEN, *LEFT_OUT):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(f"content of {name}")
    overlay = tmp_path / "study.yaml"
    own = {"results": str(results), "seed": 7, "store": str(tmp_path / "rows")}
    overlay.write_text(yaml.safe_dump(own))
    config = read(overlay)
    record(Study(config, validate(config)))
    return overlay


def pack(study, output):
    return CliRunner().invoke(app, ["crate", str(study), "--output", str(output)])


@pytest.fixture
def crate(study, tmp_path):
    assert pack(study, tmp_path / "crate").exit_code == 0
    return tmp_path / "crate"


def entities(crate):
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_every_file_is_listed_with_its_size_and_digest(crate):
    listed = {name: e for name, e in entities(crate).items() if "File" in e["@type"]}
    there = {p.relative_to(crate).as_posix() for p in crate.rglob("*") if p.is_file()}
    assert set(listed) == there - {"ro-crate-metadata.json"}
    for name, entity in listed.items():
        content = (crate / name).read_bytes()
        assert entity["contentSize"] == str(len(content))
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()


def test_config_workflow_inputs_and_results_are_in_it(crate, root, study):
    found = set(entities(crate))
    assert found >= {f"results/{name}" for name in (*MADE, *GIVEN)}
    assert not found & {f"results/{name}" for name in LEFT_OUT}
    for name in ("Snakefile", "workflow/rules/models.smk", "workflow/testtime/score.py"):
        assert (crate / name).read_bytes() == (root / name).read_bytes()
    config = yaml.safe_load((crate / "config.yaml").read_text())
    assert config == read(study) | {"results": "results", "store": None}


def test_the_run_says_what_was_made_of_what_by_what(crate):
    found = entities(crate)
    run = found["#run"]

    def linked(key):
        links = run[key] if isinstance(run[key], list) else [run[key]]
        return {link["@id"] for link in links}

    assert found["./"]["mainEntity"] == {"@id": "Snakefile"}
    assert linked("instrument") == {"Snakefile"}
    assert linked("object") == {"config.yaml", *(f"results/{name}" for name in GIVEN)}
    made = {name for name in linked("result") if not name.startswith("results/decided/")}
    assert made == {f"results/{name}" for name in MADE}
    assert run["startTime"] <= run["endTime"]


def test_a_zip_holds_the_same_files(study, crate, tmp_path):
    assert pack(study, tmp_path / "crate.zip").exit_code == 0
    with zipfile.ZipFile(tmp_path / "crate.zip") as packed:
        names = set(packed.namelist())
    names = {name for name in names if not name.endswith("/")}
    assert names == {p.relative_to(crate).as_posix() for p in crate.rglob("*") if p.is_file()}


def test_results_of_other_settings_are_refused(study, tmp_path):
    study.write_text(study.read_text().replace("seed: 7", "seed: 8"))
    done = pack(study, tmp_path / "new")
    assert "follows other settings than this config" in str(done.exception)


def test_an_unfinished_study_and_an_output_that_exists_are_refused(study, tmp_path):
    done = pack(study, tmp_path)
    assert "exists; allowed is a new folder or .zip file" in str(done.exception)
    (tmp_path / "results/report.html").unlink()
    done = pack(study, tmp_path / "new")
    assert "this study has no report.html yet" in str(done.exception)
    assert not (tmp_path / "new").exists()


@pytest.fixture
def issues(monkeypatch):
    """What a validator finds wrong, by all that Workflow Run Crate and its bases require."""
    services = pytest.importorskip("rocrate_validator.services")
    from rocrate_validator.models import Severity
    from rocrate_validator.utils import document_loader

    context = json.loads((files("rocrate") / "data" / "ro-crate.jsonld").read_text())
    # What comes with rocrate is of RO-Crate 1.3; where 1.1, which the profile builds on, differs:
    context["@context"]["ComputationalWorkflow"] = "https://bioschemas.org/ComputationalWorkflow"
    monkeypatch.setattr(document_loader, "_fetch_json_ld", lambda _url: context)

    def found(crate):
        settings = services.ValidationSettings(
            rocrate_uri=crate,
            profile_identifier="workflow-run-crate",
            requirement_severity=Severity.REQUIRED,
        )
        messages = [issue.message for issue in services.validate(settings).get_issues()]
        # One check fetches the context itself, to see whether it can be reached.
        return [text for text in messages if "/ro/crate/1.1/context" not in text]

    return found


def test_an_independent_validator_accepts_it(crate, issues):
    assert issues(crate) == []


def test_the_validator_misses_a_workflow_that_is_taken_out(crate, issues):
    file = crate / "ro-crate-metadata.json"
    metadata = json.loads(file.read_text())
    metadata["@graph"] = [entity for entity in metadata["@graph"] if entity["@id"] != "Snakefile"]
    file.write_text(json.dumps(metadata))
    assert any("instrument" in message for message in issues(crate))
