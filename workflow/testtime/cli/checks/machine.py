"""What the machine must have: GPUs and their memory, RAM, engines, disk."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from testtime.cli.checks.models import Line
from testtime.cli.forecast import forecast
from testtime.study.catalog import ModelSpec
from testtime.study.study import Study
from testtime.study.work import ram_gb

Job = list[tuple[ModelSpec, str]]  # the models that a job holds, with their engines


def check_machine(study: Study) -> list[Line]:
    """GPUs, memory and engines of this machine against the largest job of the study."""
    jobs = list(_jobs(study))
    if not jobs:
        return []
    engines = sorted({engine for job in jobs for _, engine in job})
    return [
        *(_check_engine(engine) for engine in engines),
        _check_gpus(study, jobs),
        _check_ram(jobs),
    ]


def check_disk(study: Study, to_fetch: int) -> Line:
    """Room for what the study writes, and for what is still to be fetched."""
    folder = _existing(Path(study.config["results"]).absolute())
    free = shutil.disk_usage(folder).free
    needed = forecast(study)[-1].size + to_fetch
    what = f"{needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free"
    problem = "" if needed < free else f"{what} in {folder}: make room, or set `results:`"
    return Line("disk", what, str(folder), problem=problem)


def _jobs(study: Study) -> Iterator[Job]:
    """A job of each kind."""
    catalog, config = study.catalog, study.config
    read = [spec for spec in map(catalog.prm, config["prms"]) if not spec.in_samples]
    prms = [(spec, study.engine(spec)) for spec in read]
    yield from ([prm] for prm in prms)
    for spec in map(catalog.policy, config["policies"]):
        if spec.samples is None:
            policy = (spec, study.engine(spec))
            yield [policy]
            yield from ([policy, prm] for prm in prms if study.tree_methods())


def _check_engine(engine: str) -> Line:
    missing = importlib.util.find_spec(engine) is None
    problem = f"engine {engine} is not installed: pip install 'testtime[{engine}]'"
    return Line("engine", engine, problem=problem if missing else "")


def _check_gpus(study: Study, jobs: list[Job]) -> Line:
    largest = max(jobs, key=lambda job: _gpus(study, job))
    needed, there = _gpus(study, largest), torch.cuda.device_count()
    what = f"{needed} needed, {there} visible"
    if needed > there:
        names = " with ".join(spec.name for spec, _ in largest)
        problem = f"{names} needs {needed}; where jobs run on other machines, --elsewhere"
        return Line("GPUs", what, problem=problem)
    sizes = [torch.cuda.get_device_properties(i).total_memory / 2**30 for i in range(there)]
    for spec in (spec for job in jobs for spec, _ in job if spec.gpus):
        each = spec.memory_gb / spec.gpus
        if each > max(sizes):
            problem = f"{spec.name} needs {each:.0f} GB of a GPU, the largest has {max(sizes):.0f}"
            return Line("GPUs", what, problem=problem)
    return Line("GPUs", what)


def _gpus(study: Study, job: Job) -> int:
    specs = [spec for spec, _ in job]
    together = len(specs) == 2
    return study.search_gpus(*(spec.name for spec in specs)) if together else specs[0].gpus


def _check_ram(jobs: list[Job]) -> Line:
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    largest = max(jobs, key=_ram)
    what = f"{_ram(largest):.0f} GB for the largest job, {there:.0f} GB there"
    names = " with ".join(spec.name for spec, _ in largest)
    problem = f"{names} needs {_ram(largest):.0f} GB, {there:.0f} GB there"
    return Line("RAM", what, problem=problem if _ram(largest) > there else "")


def _ram(job: Job) -> float:
    return sum(ram_gb(spec, engine) for spec, engine in job)


def _existing(folder: Path) -> Path:
    while not folder.is_dir():
        folder = folder.parent
    return folder
