"""The generated parts of docs/: every key of a study's config and of the catalog, every method.

    python -m testtime.cli.reference [RESULTS]

rewrites them from the schemas, `config.yaml`, the registry of methods and the outcomes of the
default study, which it takes from a finished one if given; a test checks them.
"""

import inspect
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path

import yaml

from testtime.cli import showcase
from testtime.data.store import atomic
from testtime.errors import UserError
from testtime.present.figures.looks import count
from testtime.study.catalog import (
    ENGINES,
    PRM_FORMATS,
    ROOT,
    DatasetSpec,
    GpuSpec,
    PolicySpec,
    PrmSpec,
    load,
)
from testtime.study.methods import METHODS
from testtime.study.schema import SCHEMAS

BEGIN, END = "<!-- generated: {} -->\n", "<!-- end -->"
# Allowed values of keys that the schema leaves to a registry.
REGISTERED = {"engine": ENGINES, "format": PRM_FORMATS}
SPECS = {"policy": PolicySpec, "prm": PrmSpec, "dataset": DatasetSpec, "gpu": GpuSpec}


def main() -> None:
    """Rewrite the generated parts of every page that has some."""
    parser = ArgumentParser(description="Renew the generated parts of README and docs/.")
    parser.add_argument("results", type=Path, nargs="?", help="of a finished default study")
    results = parser.parse_args().results
    if results is not None:
        try:
            showcase.adopt(results)
        except UserError as error:
            raise SystemExit(str(error)) from error
    for page in pages():
        text = page.read_text(encoding="utf-8")
        with atomic(page) as temporary:
            temporary.write_text(renewed(text), encoding="utf-8")


def pages() -> list[Path]:
    """README and every page of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def renewed(text: str) -> str:
    """A page with up-to-date generated parts."""
    for name, make in PARTS.items():
        before, begin, rest = text.partition(BEGIN.format(name))
        if begin:
            text = f"{before}{begin}\n{make()}\n{END}{rest.partition(END)[2]}"
    return text


def config_table() -> str:
    """Every key of a study's config."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    rows = []
    for key, schema in _flat(_schema("config")):
        value = config
        for part in key.split("."):
            value = value[part]
        rows.append((f"`{key}`", _shown(value), _allowed(schema, key), _meaning(schema)))
    return _table(("key", "default", "allowed", "meaning"), rows)


def method_table() -> str:
    """Every method that a study may name."""
    rows = []
    for name, method in METHODS.items():
        function = getattr(import_module(method.module), name)
        needs = "yes" if method.needs_prm else "no"
        budgets = "–" if method.kind == "greedy" else f"`{method.kind}`"
        rows.append((f"`{name}`", _first(inspect.getdoc(function)), needs, budgets))
    return _table(("method", "what it does", "PRM", "budgets"), rows)


def entry_table(kind: str) -> str:
    """Every key of one kind of catalog entry."""
    schema = _schema("catalog")
    defaults = {field.name: field.default for field in fields(SPECS[kind])}
    factories = {f.name for f in fields(SPECS[kind]) if f.default_factory is not MISSING}
    rows = []
    for key, given in schema["$defs"][kind]["properties"].items():
        part = schema["$defs"][given["$ref"].rpartition("/")[2]] if "$ref" in given else given
        default = defaults.get(key)
        empty = key == "base" or key in factories or default in (None, "", MISSING)
        shown = "" if empty else _shown(default)
        rows.append((f"`{key}`", shown, _allowed(part, key), _meaning(part)))
    return _table(("key", "default", "allowed", "meaning"), rows)


def policy_list() -> str:
    """Every policy of the catalog."""
    rows = [
        (f"`{p.name}`", _model(p), count(p.parameters), p.prompt, _gpus(p))
        for p in load().policies.values()
    ]
    return _table(("policy", "model", "parameters", "prompt", "runs on"), rows)


def prm_list() -> str:
    """Every PRM of the catalog."""
    rows = [
        (f"`{p.name}`", _model(p), count(p.parameters), p.format, _gpus(p))
        for p in load().prms.values()
    ]
    return _table(("PRM", "model", "parameters", "format", "runs on"), rows)


def dataset_list() -> str:
    """Every dataset of the catalog."""
    rows = [
        (f"`{d.name}`", d.path or "generated", str(d.size), d.convention)
        for d in load().datasets.values()
    ]
    return _table(("dataset", "source", "problems", "convention"), rows)


def gpu_list() -> str:
    """Every kind of GPU of the catalog."""
    rows = [
        (f"`{g.name}`", f"{g.memory_gb:g}", f"{g.teraflops:g}", f"{g.bandwidth_gb_s:,g}")
        for g in load().gpus.values()
    ]
    return _table(("GPU", "GB", "teraflops", "GB/s"), rows)


PARTS = {
    "config": config_table,
    "methods": method_table,
    "policy": lambda: entry_table("policy"),
    "prm": lambda: entry_table("prm"),
    "dataset": lambda: entry_table("dataset"),
    "gpu": lambda: entry_table("gpu"),
    "policies": policy_list,
    "prms": prm_list,
    "datasets": dataset_list,
    "gpus": gpu_list,
    "results": showcase.results_section,
    "advice": showcase.advice,
}


def _schema(name: str) -> dict:
    return yaml.safe_load((Path(SCHEMAS) / f"{name}.schema.yaml").read_text(encoding="utf-8"))


def _flat(schema: Mapping, prefix: str = "") -> Iterator[tuple[str, Mapping]]:
    for key, part in schema["properties"].items():
        if "properties" in part:
            yield from _flat(part, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", part


def _allowed(schema: Mapping, key: str = "") -> str:
    """What a value may be, in words."""
    if key in REGISTERED:
        return ", ".join(f"`{name}`" for name in REGISTERED[key])
    if "enum" in schema:
        return ", ".join(f"`{_plain(value)}`" for value in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "array" in kinds:
        return f"list of {_allowed(schema['items'])}"
    names = {"string": "text", "object": "mapping", "boolean": "true, false"}
    text = " or ".join(names.get(kind, kind) for kind in kinds if kind != "null")
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    null = ["or `null`"] if "null" in kinds else []
    return " ".join([text, *filter(None, [", ".join(limits)]), *null])


def _meaning(schema: Mapping) -> str:
    return schema.get("title", schema.get("description", ""))


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"`[{', '.join(map(_plain, value))}]`"
    return f"`{_plain(value)}`"


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value if value.isprintable() else repr(value).replace("'", '"')
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def _first(text: str) -> str:
    """A docstring's first sentence, without its full stop."""
    return " ".join(text.split("\n\n", maxsplit=1)[0].split()).removesuffix(".")


def _model(spec: PolicySpec | PrmSpec) -> str:
    return "ships with the project" if spec.model.startswith("workflow/") else spec.model


def _gpus(spec: PolicySpec | PrmSpec) -> str:
    return f"{spec.gpus} GPU{'s' if spec.gpus > 1 else ''}" if spec.gpus else "CPU"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
