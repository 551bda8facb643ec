"""Whether a study can run: checks its models, datasets and the machine before hours are spent.

No weights are loaded, and no network is used if everything is local.
"""

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from testtime import prms
from testtime.cli.forecast import forecast
from testtime.data import places, sweep
from testtime.data.problems import load_problems
from testtime.data.rows import SUFFIX
from testtime.engines.pretrained import check_chat, check_gpus, loading, open_model
from testtime.errors import UserError
from testtime.runtime import hub
from testtime.study import memory
from testtime.study.catalog import ENGINES, DatasetSpec, ModelSpec, PolicySpec, PrmSpec
from testtime.study.prompts import PROMPTS, apply_chat_template
from testtime.study.study import Study

Job = list[tuple[ModelSpec, str]]  # the models that a job holds, with their engines


@dataclass(frozen=True)
class Line:
    """The result of checking one thing that a study needs.

    Attributes:
        role: "policy", "PRM", "dataset", or the part of the machine.
        name: in the catalog.
        place: folder, hub id or file.
        revision: commit on the hub, or a digest of local weights.
        problem: what is wrong and what to do; empty if nothing is.
        note: worth knowing, but not an error.
        to_fetch: bytes that are not on this machine yet.
    """

    role: str
    name: str
    place: str = ""
    revision: str = ""
    problem: str = ""
    note: str = ""
    to_fetch: int = 0


def check_study(study: Study, *, here: bool = True) -> list[Line]:
    """Check everything that a study needs.

    Args:
        study: a valid one.
        here: whether its jobs run on this machine; otherwise its GPUs, memory and engines are
            left out.

    Returns:
        One line per policy, PRM and dataset, then those about the machine.
    """
    config, catalog = study.config, study.catalog
    lines = [check_policy(catalog.policy(name), study) for name in config["policies"]]
    lines += [check_prm(catalog.prm(name), study) for name in config["prms"]]
    lines += [check_dataset(catalog.dataset(name)) for name in config["datasets"]]
    if here:
        lines += check_machine(study)
    lines += check_store(study)
    return [*lines, check_disk(study, sum(line.to_fetch for line in lines))]


def check_policy(spec: PolicySpec, study: Study) -> Line:
    """A policy: its files, chat template and context."""
    if spec.samples is not None:
        return Line("policy", spec.name, spec.samples, note="samples made elsewhere")
    return _check("policy", spec, study)


def check_prm(spec: PrmSpec, study: Study) -> Line:
    """A PRM: its files, the tokens of its format and its context."""
    if spec.in_samples:
        return Line("PRM", spec.name, "scores made elsewhere")
    return _check("PRM", spec, study)


def _check(role: str, spec: ModelSpec, study: Study) -> Line:
    if spec.train is not None:
        return Line(role, spec.name, "trained by this study")
    what, engine = f"{role} {spec.name}", study.engine(spec)
    commit, to_fetch = "", 0
    try:
        folder = spec.folder
        if folder is None:
            found = hub.find(spec.model, spec.revision)
            folder, commit, to_fetch = found.folder, found.commit, found.size
        else:
            commit = hub.revision(spec)
        check_gpus(what, spec.gpus, engine)
        _check_reading(what, spec)
        if folder is not None:
            pickles = role == "PRM" or ENGINES[engine].pickled_policies
            _check_weights(what, folder, pickles=pickles)
    except UserError as error:
        return Line(role, spec.name, spec.model, commit, problem=str(error))
    note = "not pinned" if spec.folder is None and not spec.revision else ""
    return Line(role, spec.name, spec.model, commit, note=note, to_fetch=to_fetch)


def _check_reading(what: str, spec: PolicySpec | PrmSpec) -> None:
    """Config and tokenizer: the context, and the tokens or template that text needs."""
    _, _, tokenizer = open_model(what, spec)
    if isinstance(spec, PrmSpec):
        prms.get(prms.detect(spec.location, spec.format or None)).reader(tokenizer)
        return
    check_chat(what, tokenizer)
    with loading(what):
        apply_chat_template(tokenizer, PROMPTS[spec.prompt]("1 + 1?"), add_generation_prompt=True)


def _check_weights(what: str, folder: Path, *, pickles: bool) -> None:
    """Check that every file of weights exists and, judging by its header, is complete.

    Raises:
        UserError: names the files.
    """
    names = _weight_files(folder, "model.safetensors")
    if not names and pickles:
        names = _weight_files(folder, "pytorch_model.bin")
    if not names:
        raise UserError(f"{what}: no weights in {folder} (model.safetensors)")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UserError(f"{what}: {', '.join(missing[:3])}{more} missing in {folder}")
    for name in names:
        if name.endswith(".safetensors"):
            _open(what, folder / name)


def _weight_files(folder: Path, name: str) -> list[str]:
    index = folder / f"{name}.index.json"
    if index.is_file():
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    return [name] if (folder / name).is_file() else []


def _open(what: str, path: Path) -> None:
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise UserError(f"{what}: {path} is broken ({error}); fetch it again") from error


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
    # Jobs are divided by the size that the entry gives.
    note = "" if n == spec.size else f"{n} problems, though its size is given as {spec.size}"
    return Line("dataset", spec.name, spec.path, note=note)


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


def check_store(study: Study) -> list[Line]:
    """What the store of rows holds, a line per stage, and what of it this study does not need."""
    if not places.find(study.store, SUFFIX):
        return []
    found = list(sweep.held(study, sweep.needed(study)))
    lines = []
    for stage in dict.fromkeys(cell.stage for cell in found):
        cells = [cell for cell in found if cell.stage == stage]
        size = sum(cell.size for cell in cells)
        what = f"{stage}, {len(cells)} cells, {size / 1e6:.1f} MB"
        share = sum(cell.unneeded * cell.size for cell in cells) / size if size else 0
        note = f"{share:.0%} of it not needed (testtime sweep)" if share else ""
        lines.append(Line("store", what, study.store, note=note))
    return lines


def check_disk(study: Study, to_fetch: int) -> Line:
    """Room for what the study writes, and for what is still to be fetched."""
    folder = _existing(Path(study.config["results"]).absolute())
    free = shutil.disk_usage(folder).free
    try:
        needed = forecast(study)[-1].size + to_fetch
    except UserError as error:
        return Line("disk", "", str(folder), problem=str(error))
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
            yield from ([policy, prm] for prm in prms if study.search_blocks(spec.name))


def _check_engine(engine: str) -> Line:
    package = ENGINES[engine].package
    missing = importlib.util.find_spec(package) is None
    problem = f"engine {engine} is not installed: pip install 'testtime[{package}]'"
    return Line("engine", engine, problem=problem if missing else "")


def _check_gpus(study: Study, jobs: list[Job]) -> Line:
    largest = max(jobs, key=lambda job: _gpus(study, job))
    needed, visible = _gpus(study, largest), torch.cuda.device_count()
    what = f"{needed} needed, {visible} visible"
    if needed > visible:
        names = " with ".join(spec.name for spec, _ in largest)
        problem = f"{names} needs {needed}; where jobs run on other machines, --elsewhere"
        return Line("GPUs", what, problem=problem)
    on_gpus = [spec for job in jobs for spec, _ in job if spec.gpus]
    if on_gpus:
        size = max(torch.cuda.get_device_properties(i).total_memory for i in range(visible)) / 1e9
        for spec in on_gpus:
            if memory.cache_gb(size, spec) < memory.LEAST_CACHE_GB:
                weights = memory.weight_bytes(spec) / spec.gpus / 1e9
                problem = f"{spec.name} has {weights:.0f} GB of weights, a GPU {size:.0f} GB"
                return Line("GPUs", what, problem=problem)
    return Line("GPUs", what)


def _gpus(study: Study, job: Job) -> int:
    specs = [spec for spec, _ in job]
    together = len(specs) == 2
    return study.search_gpus(*(spec.name for spec in specs)) if together else specs[0].gpus


def _check_ram(jobs: list[Job]) -> Line:
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    largest = max(jobs, key=_ram)
    what = f"{_ram(largest):.0f} GB for the largest job, {installed:.0f} GB in total"
    names = " with ".join(spec.name for spec, _ in largest)
    problem = f"{names} needs {_ram(largest):.0f} GB, this machine has {installed:.0f} GB"
    return Line("RAM", what, problem=problem if _ram(largest) > installed else "")


def _ram(job: Job) -> float:
    return sum(memory.ram_gb(spec, engine) for spec, engine in job)


def _existing(folder: Path) -> Path:
    while not folder.is_dir():
        folder = folder.parent
    return folder
