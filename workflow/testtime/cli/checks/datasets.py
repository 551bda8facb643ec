"""A dataset's source: its file can be read, or the hub has it."""

from testtime.cli.checks.models import Line
from testtime.data.problems import load_problems
from testtime.errors import UserError
from testtime.runtime import hub
from testtime.study.catalog import DatasetSpec


def check_dataset(spec: DatasetSpec) -> Line:
    """A dataset: generated, a file with the columns it needs, or of the hub."""
    if spec.source == "microcosm":
        return Line("dataset", spec.name, "generated")
    try:
        if spec.source == "file":
            return _describe_file(spec)
        found = hub.find(spec.path, spec.revision, "dataset")
    except UserError as error:
        return Line("dataset", spec.name, spec.path, problem=str(error))
    note = "" if spec.revision else "not pinned"
    return Line("dataset", spec.name, spec.path, found.commit, note=note, to_fetch=found.size)


def _describe_file(spec: DatasetSpec) -> Line:
    n = len(load_problems(spec, seed=0))
    # Jobs are cut by the size that the entry gives.
    note = "" if n == spec.size else f"{n} problems, though its size is given as {spec.size}"
    return Line("dataset", spec.name, spec.path, note=note)
