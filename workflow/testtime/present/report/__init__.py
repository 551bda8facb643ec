"""The study's report: one page that opens anywhere, every number taken from the tables."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import yaml
from docutils.core import publish_parts
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from testtime.data.store import atomic
from testtime.errors import UserError
from testtime.present.figures import TITLES
from testtime.present.figures.data import best_prm, by_size, read_csv
from testtime.present.figures.looks import look
from testtime.present.figures.style import DPI
from testtime.present.report import facts
from testtime.present.report.costs import stage_costs
from testtime.present.report.embed import DESCRIPTIONS, embed
from testtime.present.report.examples import examples
from testtime.present.report.finding import Finding, find, percent
from testtime.present.report.undecided import SHOWN, undecided
from testtime.study import catalog
from testtime.study.catalog import WORKFLOW

PAGES = WORKFLOW / "report"


def write_report(
    results: str | Path,
    config: dict,
    output: str | Path,
    *,
    figures: Sequence[str] | None = None,
    tables: Sequence[str] | None = None,
) -> Finding:
    """Write a self-contained HTML page about a finished study.

    Args:
        results: its folder; figures are read from `figures/`, tables from `tables/`.
        config: the study.
        output: the page, which links to data files relative to `results`.
        figures: names to show; by default all that exist.
        tables: names to show; by default all that exist.

    Returns:
        The finding that the page opens with.

    Raises:
        UserError: a figure, table or the lookup is missing; the message names the file.
    """
    results = Path(results)
    study = catalog.of_study(config)
    parameters = {name: study.policy(name).parameters for name in config["policies"]}
    names = _table_names(results) if tables is None else list(tables)
    lookup = _read_json(results / "lookup.json")
    finding = study_finding(results, config)
    cells = [(d, p) for d in config["datasets"] for p in config["policies"]]
    undecided_count, graded, undecided_rows = undecided(results, cells)
    prm = best_prm(_quality(results), config["prms"])
    css, js = ((PAGES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            config=config,
            config_text=_yaml(config),
            finding=finding,
            models=facts.models(study, config["policies"], config["prms"]),
            versions=facts.versions(),
            hardware=facts.hardware(),
            commit=facts.commit(),
            figures=[_figure(results, name) for name in _figure_names(results, figures)],
            tables=[t for t in (embed(results / f"tables/{name}.csv") for name in names) if t],
            lookup=_lookup(lookup, parameters),
            examples=examples(results, config, prm, by_size(parameters)),
            costs=stage_costs(results).to_dict("records"),
            undecided=undecided_rows.head(SHOWN).to_dict("records"),
            undecided_kinds=len(undecided_rows),
            undecided_count=undecided_count,
            graded=graded,
            css=Markup(css),
            js=Markup(js),
            js_hash=base64.b64encode(hashlib.sha256(js.encode()).digest()).decode(),
        )
    )
    with atomic(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return finding


def study_finding(results: str | Path, config: dict) -> Finding:
    """The finding of a finished study, from its tables and lookup."""
    results = Path(results)
    study = catalog.of_study(config)
    parameters = {name: study.policy(name).parameters for name in config["policies"]}
    wanted = ("overtaking", "frontier", "accuracy", "compute_optimal")
    paths = {name: results / f"tables/{name}.csv" for name in wanted}
    tables = {name: read_csv(path) for name, path in paths.items() if path.exists()}
    return find(tables, _read_json(results / "lookup.json"), parameters)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,  # what models wrote is untrusted text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: "–" if value is None else percent(value)
    environment.filters["clip"] = _clip
    environment.globals["look"] = look
    return environment


def _clip(text: str, most: int = 2000) -> str:
    """A step that fits a page; what is cut is counted."""
    if len(text) <= most:
        return text
    return f"{text[:most]} … ({len(text) - most} more characters)"


def _figure_names(results: Path, wanted: Sequence[str] | None) -> list[str]:
    if wanted is not None:
        return list(wanted)
    return [name for name in TITLES if (results / f"figures/{name}.png").exists()]


def _figure(results: Path, name: str) -> dict:
    path = results / f"figures/{name}.png"
    if not path.exists():
        raise UserError(f"no such file: {path}; draw it first: snakemake {path}")
    image = path.read_bytes()
    caption = (PAGES / f"{name}.rst").read_text(encoding="utf-8")
    return {
        "name": name,
        "title": TITLES[name],
        "inches": int.from_bytes(image[16:20], "big") / DPI,  # the PNG header's width
        "image": base64.b64encode(image).decode(),
        "caption": Markup(_from_rst(caption)),
        "data": f"figures/data/{name}.csv",
        "pdf": f"figures/{name}.pdf",
    }


def _from_rst(text: str) -> str:
    """The captions are written once, for this page and for Snakemake's own report."""
    settings = {"file_insertion_enabled": False, "raw_enabled": False, "report_level": 5}
    return publish_parts(text, writer="html5", settings_overrides=settings)["body"]


def _table_names(results: Path) -> list[str]:
    present = {path.stem for path in (results / "tables").glob("*.csv")}
    return [name for name in DESCRIPTIONS if name in present] + sorted(present - set(DESCRIPTIONS))


def _lookup(lookup: dict, parameters: dict[str, float]) -> dict:
    """What the page's heat map needs of the lookup: contexts by policy size, methods' looks."""
    rank = {policy: i for i, policy in enumerate(by_size(parameters))}
    contexts = sorted(lookup["contexts"], key=lambda c: rank.get(c["policy"], len(rank)))
    methods = dict.fromkeys(c["strategy"]["method"] for c in contexts)
    looks = {m: {"label": look(m).label, "color": look(m).color} for m in methods}
    keys = ("dataset", "policy", "prm", "budget", "difficulty", "strategy", "accuracy", "support")
    rows = [{k: context[k] for k in (*keys, "ci_low", "ci_high")} for context in contexts]
    return {"contexts": rows, "methods": looks}


def _quality(results: Path):
    path = results / "tables/prm_quality.csv"
    return read_csv(path) if path.exists() else None


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}; run the study first: snakemake") from error


def _yaml(config: dict) -> str:
    return yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True)
