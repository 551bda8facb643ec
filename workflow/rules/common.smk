import re
import sys
from dataclasses import asdict
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Also without an installation: a clone is enough.
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from testtime import plan
from testtime.catalog import as_params
from testtime.config import validate
from testtime.environment import export_package
from testtime.errors import UserError
from testtime.lock import check_run, hold
from testtime.study import Study
from testtime.work import grading, ram_gb, training

export_package()

try:
    CATALOG = validate(config)
    # A run holds its results folder from onstart on, which a dry run does not reach.
    if not workflow.is_main_process:
        check_run()
except UserError as error:
    raise WorkflowError(str(error)) from None

STUDY = Study(config, CATALOG)
RESULTS = config["results"]

# Raise a stage's number when its output changes meaning; edits of code alone rerun no heavy job.
FORMATS = {"train": 1, "problems": 1, "generate": 1, "score": 1, "search": 1}

# Modules that nearly every analysis uses: what a file of the study is and holds.
SHARED = ("plan.py", "samples.py", "seeds.py", "statistics.py", "tables.py")


wildcard_constraints:
    dataset=r"[^/]+",
    policy=r"[^/]+",
    prm=r"[^/]+",
    method=r"[^/]+",
    name=r"[^/]+",
    block=r"cot|difficulty|\d+|\d+-\d+",
    shard=r"\d+-of-\d+",


def of_checkout(*parts):
    """A file of the checkout, named from the working directory where that is the checkout.

    A checkout that is moved as a whole then reruns nothing.
    """
    path = Path(workflow.basedir, *parts)
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def package(*modules):
    """Source files of package modules: analysis rules rerun when these change, or the shared ones."""
    root = Path(of_checkout("workflow", "testtime"))
    files = []
    for module in dict.fromkeys((*modules, *SHARED)):
        path = root / module
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [str(path) for path in files]


def script_file(name):
    """A rule's script as an input, for rules that follow their code."""
    return of_checkout("workflow", "scripts", f"{name}.py")


def notebook_file(name):
    """A rule's notebook as an input, for rules that follow their code."""
    return of_checkout("notebooks", f"{name}.ipynb")
