"""A finished study as a research object: a Workflow Run RO-Crate (https://w3id.org/ro/wfrun).

The crate holds what a reader needs to judge and rebuild a study: its config, the workflow, the
problems and answers, and its tables, figures, lookup, notebooks and report. Samples, scores and
searches stay out: they are many gigabytes of a large study, and its store keeps them.
"""

import hashlib
import mimetypes
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from testtime.data.decided import cells, recorded
from testtime.data.rows import digest
from testtime.errors import UserError
from testtime.study.layout import ROOT
from testtime.study.study import Study

if TYPE_CHECKING:
    from rocrate.model import ContextEntity, File
    from rocrate.rocrate import ROCrate

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate 0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate 0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate 1.0",
}
MAIN = "Snakefile"
WORKFLOW = ("pyproject.toml", "LICENSE", "CITATION.cff", "README.md")
WORKFLOW += ("workflow", "envs", "notebooks", "profiles/default")
INPUTS = ("problems", "answers")
RESULTS = ("report.html", "lookup.json", "tables", "figures", "notebooks", "difficulty")
RESULTS += ("decided", "benchmarks", "logs")
KINDS = {".parquet": "application/vnd.apache.parquet", ".ipynb": "application/x-ipynb+json"}
KINDS |= {".yaml": "application/yaml", ".smk": "text/x-python"}


def write_crate(study: Study, output: Path) -> int:
    """Write the crate of a finished study.

    Args:
        study: whose report is there.
        output: a new folder, or a file that ends in .zip.

    Returns:
        The number of files in it, its own metadata aside.

    Raises:
        UserError: the study is not finished, its results follow other settings, or the output
            exists already.
    """
    from rocrate.model import ContextEntity
    from rocrate.rocrate import ROCrate

    results = Path(study.layout.results)
    report = Path(study.layout.path("report"))
    if not report.is_file():
        raise UserError(f"{results}: this study has no {report.name} yet; run it with snakemake")
    for cell in cells(study):
        if digest(recorded(cell.record).get("decided")) != digest(cell.decided):
            raise UserError(
                f"{results}: {cell.name} follows other settings than this config, see "
                f"{cell.record}; run it with snakemake"
            )
    if output.exists():
        raise UserError(f"output {output} exists; allowed is a new folder or .zip file")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    crate = ROCrate(version="1.1")  # on which the profiles build
    root = crate.root_dataset
    root["name"] = f"The study {study.config['study']} of test-time scaling"
    root["description"] = cited["abstract"]
    root["datePublished"] = _time(report.stat().st_mtime)
    root["license"] = {"@id": "LICENSE"}
    root["conformsTo"] = [
        crate.add(ContextEntity(crate, link, {"@type": "CreativeWork", "name": name}))
        for link, name in PROFILES.items()
    ]
    authors = [_author(crate, author) for author in cited["authors"]]
    root["author"] = authors

    # The study's whole config takes the place of the shipped one: a rerun needs no option.
    own = study.config | {"results": "results", "store": None}
    config = yaml.safe_dump(own, sort_keys=False).encode()
    places = {path.relative_to(ROOT).as_posix(): path for path in _checkout()}
    workflow = crate.add_workflow(ROOT / MAIN, MAIN, main=True, lang="snakemake")
    known = {"name": cited["title"], "version": cited["version"], "author": authors}
    for key, value in (known | _facts((ROOT / MAIN).read_bytes(), MAIN)).items():
        workflow[key] = value
    workflow["license"] = {"@id": "LICENSE"}
    for place, path in places.items():
        _add(crate, place, path.read_bytes())
    inputs = [_add(crate, "config.yaml", config), *_add_results(crate, results, INPUTS)]
    action = {
        "@type": "CreateAction",
        "name": f"Run of the study {study.config['study']}",
        "startTime": _time(min(path.stat().st_mtime for path in _files(results / "problems"))),
        "endTime": root["datePublished"],
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    run = crate.add(ContextEntity(crate, "#run", action))
    run["instrument"], run["agent"], run["object"] = workflow, authors, inputs
    run["result"] = _add_results(crate, results, RESULTS)
    root["mentions"] = [run]
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        made = Path(folder, "crate")
        crate.write(made)
        if output.suffix == ".zip":
            made = Path(shutil.make_archive(f"{folder}/packed", "zip", made))
        made.rename(output)  # whole or not at all
    return len(crate.data_entities)


def _author(crate: "ROCrate", author: Mapping[str, str]) -> "ContextEntity":
    """A person or a group of CITATION.cff."""
    from rocrate.model import ContextEntity

    person = "family-names" in author
    name = f"{author['given-names']} {author['family-names']}" if person else author["name"]
    kind = "Person" if person else "Organization"
    link = author.get("orcid", f"#{name.replace(' ', '-')}")
    return crate.add(ContextEntity(crate, link, {"@type": kind, "name": name}))


def _add_results(crate: "ROCrate", results: Path, names: Iterable[str]) -> list["File"]:
    paths = [path for name in names for path in _files(results / name)]
    places = [f"results/{path.relative_to(results).as_posix()}" for path in paths]
    return [_add(crate, place, p.read_bytes()) for place, p in zip(places, paths, strict=True)]


def _add(crate: "ROCrate", place: str, content: bytes) -> "File":
    return crate.add_file(BytesIO(content), place, properties=_facts(content, place))


def _facts(content: bytes, place: str) -> dict[str, str]:
    kind = KINDS.get(Path(place).suffix) or mimetypes.guess_type(place)[0] or "text/plain"
    digest = hashlib.sha256(content).hexdigest()
    facts = {"name": place, "contentSize": str(len(content)), "sha256": digest}
    return facts | {"encodingFormat": kind}


def _checkout() -> list[Path]:
    """The workflow's files, those aside that the crate has of its own."""
    return [
        path
        for name in WORKFLOW
        for path in _files(ROOT / name)
        if "__pycache__" not in path.parts and not path.name.endswith(".pyc")
    ]


def _files(place: Path) -> list[Path]:
    """A file, or all files below a folder."""
    if place.is_file():
        return [place]
    return sorted(path for path in place.rglob("*") if path.is_file())


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
