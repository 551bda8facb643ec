"""The study's report: one page that opens anywhere, every number taken from the tables."""

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from docutils.core import publish_parts
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from testtime.compare.prm_worth import best_prm
from testtime.data.store import atomic, read_csv, read_json
from testtime.errors import UserError
from testtime.present import registry
from testtime.present.figures.looks import DPI, look
from testtime.present.figures.rows import by_size
from testtime.present.report import facts
from testtime.present.report.examples import examples
from testtime.present.report.explorer import explorer
from testtime.present.report.finding import Finding, percent, study_finding
from testtime.study.layout import WORKFLOW, Layout, folder, place
from testtime.study.study import Study

PAGES = WORKFLOW / "report"
MOST_UNDECIDED = 50  # rows of undecided grades
MOST_ROWS = 20_000  # more would make the page slow; the CSV file has them all
LARGEST_WRITTEN_OUT = 1e7  # FLOPs are more readable as powers of ten
MOST_CHOICES = 40  # a column with few distinct values gets a drop-down list

# Columns of tables that are shares.
PERCENT = {
    "accuracy", "ci_low", "ci_high", "in_sample_accuracy", "optimism", "pass_at_k", "difference",
    "small_accuracy", "large_accuracy", "gain", "gain_low", "gain_high", "cot", "majority",
    "compute_optimal", "performance_gain", "performance_low", "performance_high", "published",
    "published_performance", "agreement", "wrong_steps",
    "own_accuracy", "lost", "lost_low", "lost_high", "predicted", "observed", "mean_error",
    "level_agreement", "value",
}  # fmt: skip
START = {"accuracy": {"difficulty": "all"}}  # filters that are set when the page opens


@dataclass(frozen=True)
class Embedded:
    """A table in the page.

    Attributes:
        csv: the file, from the page.
        columns: of each its name, kind ("text", "percent", "int" or "number") and whether the page
            offers a list of its values.
        rows: plain values, None where missing.
        total: rows of the file; more than `rows` if it is too long for a page.
    """

    name: str
    description: str
    csv: str
    columns: list[dict]
    rows: list[list]
    total: int
    start: dict[str, str]


def write_report(
    study: Study, output: str | Path, *, figures: Sequence[str], tables: Sequence[str]
) -> Finding:
    """Write a self-contained HTML page about a finished study.

    Args:
        study: finished.
        output: the page, which links to data files as if it lay in the results folder.
        figures: names of those to show.
        tables: names of those to show.

    Returns:
        The finding that the page opens with.

    Raises:
        UserError: a figure, table or the lookup is missing; the message names the file.
    """
    config, layout, parameters = study.config, study.layout, study.setting("policies")
    lookup = read_json(layout.path("lookup"))
    finding = study_finding(study)
    undecided_count, graded, undecided_rows = facts.undecided(study)
    prm = best_prm(_quality(layout), config["prms"])
    embedded = [embed(layout.path("table", table=name)) for name in tables]
    css, js = ((PAGES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            config=config,
            config_text=_yaml(config),
            finding=finding,
            models=facts.models(study.catalog, config["policies"], config["prms"]),
            versions=facts.versions(),
            hardware=facts.hardware(),
            commit=facts.commit(),
            figures=[_figure(layout, name) for name in figures],
            tables=[table for table in embedded if table],
            places={
                "lookup": place("lookup"),
                "tables": folder("table"),
                "costs": folder("benchmark"),
            },
            explorer=explorer(lookup),
            lookup=_lookup(lookup, parameters),
            examples=examples(study, prm, list(filter(study.is_studied, by_size(parameters)))),
            costs=facts.stage_costs(layout).to_dict("records"),
            undecided=undecided_rows.head(MOST_UNDECIDED).to_dict("records"),
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


def embed(path: str | Path) -> Embedded | None:
    """Read a table's CSV for the page; None where it has no rows."""
    table = read_csv(path)
    if table.empty:
        return None
    name, total = Path(path).stem, len(table)
    if total > MOST_ROWS and "difficulty" in table:
        table = table[table["difficulty"] == "all"]
    table = table.head(MOST_ROWS)
    columns = [_column(str(column), table[column]) for column in table]
    rows = [[_plain(value) for value in row] for row in table.itertuples(index=False, name=None)]
    start = {c: v for c, v in START.get(name, {}).items() if c in table}
    description, csv = registry.descriptions().get(name, ""), place("table", table=name)
    return Embedded(name, description, csv, columns, rows, total, start)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,  # model output is untrusted text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: "–" if value is None else percent(value)
    environment.filters["clip"] = _clip
    environment.filters["number"] = _number
    environment.globals["look"] = look
    return environment


def _number(value: float | None) -> str:
    """A mean cost in a few digits."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if 1000 <= value < LARGEST_WRITTEN_OUT else f"{value:.3g}"


def _clip(text: str, most: int = 2000) -> str:
    """A step cut to fit the page, with the number of characters that were cut."""
    if len(text) <= most:
        return text
    return f"{text[:most]} … ({len(text) - most} more characters)"


def _figure(layout: Layout, name: str) -> dict:
    path = Path(layout.path("figure", figure=name))
    if not path.exists():
        raise UserError(f"no such file: {path}; draw it first: snakemake {path}")
    image = path.read_bytes()
    figure = registry.figures()[name]
    return {
        "name": name,
        "title": figure.title,
        "inches": int.from_bytes(image[16:20], "big") / DPI,  # the PNG header's width
        "image": base64.b64encode(image).decode(),
        "caption": Markup(_from_rst(figure.caption)),
        "data": place("figure_data", figure=name),
        "pdf": place("figure_pdf", figure=name),
    }


def _from_rst(text: str) -> str:
    """The captions are written once, for this page and for Snakemake's own report."""
    settings = {"file_insertion_enabled": False, "raw_enabled": False, "report_level": 5}
    return publish_parts(text, writer="html5", settings_overrides=settings)["body"]


def _lookup(lookup: dict, parameters: dict[str, float]) -> dict:
    """The part of the lookup for the page's heat map: contexts by policy size, methods' looks."""
    rank = {policy: i for i, policy in enumerate(by_size(parameters))}
    contexts = sorted(lookup["contexts"], key=lambda c: rank.get(c["policy"], len(rank)))
    methods = dict.fromkeys(c["strategy"]["method"] for c in contexts)
    looks = {m: {"label": look(m).label, "color": look(m).color} for m in methods}
    keys = ("dataset", "policy", "prm", "budget", "difficulty", "strategy", "accuracy", "support")
    rows = [{k: context[k] for k in (*keys, "ci_low", "ci_high")} for context in contexts]
    return {"contexts": rows, "methods": looks}


def _quality(layout: Layout) -> pd.DataFrame | None:
    path = Path(layout.path("table", table="prm_quality"))
    return read_csv(path) if path.exists() else None


def _yaml(config: dict) -> str:
    return yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True)


def _column(name: str, values: pd.Series) -> dict:
    known = values.dropna()
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        kind = "text"
    elif name in PERCENT:
        kind = "percent"
    else:
        whole = (known == known.round()).all() and known.abs().max() < LARGEST_WRITTEN_OUT
        kind = "int" if whole else "number"
    choices = known.nunique()
    few = kind in ("text", "int") and 1 < choices <= MOST_CHOICES
    measured = kind == "int" and name not in ("budget", "k")
    return {"name": name, "kind": kind, "choose": bool(few and not measured)}


def _plain(value: object) -> object:
    if hasattr(value, "item"):
        value = value.item()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value
