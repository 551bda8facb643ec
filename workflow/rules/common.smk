import os
import re
import shutil
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# A clone is enough; nothing needs to be installed.
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from testtime.data import places
from testtime.data.decided import FORMATS, Cell, record
from testtime.errors import UserError
from testtime.present import registry
from testtime.runtime.job import export_package
from testtime.runtime.lock import check_run, hold, is_held
from testtime.study.closure import import_closure
from testtime.study.config import validate
from testtime.study.layout import STORED, TOGETHER, folder, from_here, stored_at
from testtime.study.resources import priority, resources
from testtime.study.study import Study

export_package()

# Whether Snakemake keeps results in a storage and jobs have copies of them, see docs/across-machines.md.
STORAGE = workflow.storage_registry.default_storage_provider

try:
    CATALOG = validate(config)
    HOME = config["results"]
    if STORAGE is not None:
        os.environ[STORED] = "1"
        HOME = stored_at(workflow.storage_settings.default_storage_prefix, HOME)
        config["store"] = config["store"] or f"{HOME}/store"
    # A run locks its results folder in onstart, which a dry run does not reach.
    if not workflow.is_main_process:
        check_run(elsewhere=STORAGE is not None)
    STUDY = Study(config, CATALOG)
    if workflow.is_main_process:
        places.check(config["store"])
        record(Study(config | {"results": HOME}, CATALOG), locked=config["results"])
        if STORAGE is not None and not is_held(config["results"]):
            # A killed run leaves copies, which would hide what other machines have changed since.
            shutil.rmtree(STORAGE.object(f"{HOME}/decided").local_path(), ignore_errors=True)
except UserError as error:
    raise WorkflowError(str(error)) from None

LAYOUT = STUDY.layout


# The tables and figures that this study can fill.
TABLES = registry.of_study(registry.tables(), STUDY)
FIGURES = registry.of_study(registry.figures(), STUDY)
TABLE_FILES = [
    path for facts in TABLES.values() for path in registry.files_of(facts, STUDY).values()
]
FIGURE_FILES = [
    LAYOUT.path(kind, figure=name)
    for name in FIGURES
    for kind in ("figure", "figure_pdf", "figure_data")
]
# Comparing with the paper needs CoT.
NOTEBOOKS = ["one_problem", "compute_optimal", *(["published"] if STUDY.has("cot") else [])]


wildcard_constraints:
    dataset=r"[^/]+",
    policy=r"[^/]+",
    prm=r"[^/]+",
    method=r"[^/]+",
    name=r"[^/]+",
    figure=r"[^/]+",
    block=r"cot|difficulty|\d+|\d+-\d+",
    shard=r"\d+-of-\d+",


def get_code(*programs):
    """Programs of the workflow and everything that they import, for rules that follow their code."""
    root = Path(workflow.basedir).resolve()
    return with_local(map(from_here, import_closure(*(root / name for name in programs))))


def with_local(paths):
    """Inputs; those that are no results are of this machine, also where results are in a storage."""
    return [path if path.startswith(f"{LAYOUT.results}/") else local(path) for path in paths]


def fetched(paths):
    """Results that a job reads where they are; out of a storage they must be fetched for it."""
    return [] if STORAGE is None else paths


def get_inputs(facts):
    """The inputs of a figure or of a module of tables."""
    return {name: with_local(paths) for name, paths in registry.inputs_of(facts, STUDY).items()}


def one_of(names):
    """A pattern that matches these names; one that matches nothing if there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def none_of(names):
    """A pattern that matches all other names."""
    return f"(?!({one_of(names)})/)[^/]+"


def get_decided(stage):
    """The file of what decides a cell or dataset, which its jobs follow."""
    return lambda wildcards: Cell(
        STUDY, stage, wildcards.dataset, wildcards.get("policy"), wildcards.get("prm")
    ).record


def numbered(rule, number):
    """The name of a rule that is made several times, for policies with different files."""
    return rule if number == 0 else f"{rule}_{number + 1}"


def get_figure_inputs(wildcards):
    """The inputs of a figure, and the code that makes it."""
    source = f"workflow/testtime/present/figures/{wildcards.figure}.py"
    return get_inputs(FIGURES[wildcards.figure]) | {
        "code": get_code("workflow/scripts/draw_figure.py", source)
    }
