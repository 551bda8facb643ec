import re
import sys
from dataclasses import asdict
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Also without an installation: a clone is enough.
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from testtime.study.blocks import COT
from testtime.study.catalog import as_params
from testtime.study.closure import import_closure
from testtime.study.config import validate
from testtime.runtime.environment import export_package
from testtime.errors import UserError
from testtime.runtime.lock import check_run, hold
from testtime.study.study import Study
from testtime.study.work import grading, ram_gb, training

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
    path = Path(workflow.basedir).resolve().joinpath(*parts)
    here = Path.cwd().resolve()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def get_code(name, *modules):
    """A rule's script or notebook and all that it imports, for rules that follow their code.

    Modules that it imports by name only, which the program does not tell, are given.
    """
    programs = [
        path
        for path in (
            Path(workflow.basedir, "workflow", "scripts", f"{name}.py"),
            Path(workflow.basedir, "notebooks", f"{name}.ipynb"),
        )
        if path.exists()
    ]
    return [of_checkout(path) for path in import_closure(*programs, *modules)]
