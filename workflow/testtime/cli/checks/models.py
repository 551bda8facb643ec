"""A policy's or PRM's files, tokenizer and settings, without its weights."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from testtime import prms
from testtime.engines.pretrained import check_chat, check_gpus, loading, open_model
from testtime.engines.text import PROMPTS
from testtime.errors import UserError
from testtime.runtime import hub
from testtime.study.catalog import ModelSpec, PolicySpec, PrmSpec
from testtime.study.study import Study


@dataclass(frozen=True)
class Line:
    """What was found out about one thing that a study needs.

    Attributes:
        role: "policy", "PRM", "dataset", or what of the machine it is.
        name: in the catalog.
        place: folder, hub id or file.
        revision: commit on the hub, or a digest of local weights.
        problem: what is wrong and what to do; empty where nothing is.
        note: what is worth knowing, though it stops nothing.
        to_fetch: bytes that are not on this machine yet.
    """

    role: str
    name: str
    place: str = ""
    revision: str = ""
    problem: str = ""
    note: str = ""
    to_fetch: int = 0


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
        if engine == "transformers":
            check_gpus(what, spec.gpus)
        _check_reading(what, spec)
        if folder is not None:
            _check_weights(what, folder, pickles=role == "PRM" or engine == "vllm")
    except UserError as error:
        return Line(role, spec.name, spec.model, commit, problem=str(error))
    note = "not pinned" if spec.folder is None and not spec.revision else ""
    return Line(role, spec.name, spec.model, commit, note=note, to_fetch=to_fetch)


def _check_reading(what: str, spec: PolicySpec | PrmSpec) -> None:
    """Config and tokenizer: the context, and the tokens or the template that text is put into."""
    _, _, tokenizer = open_model(what, spec)
    if isinstance(spec, PrmSpec):
        prms.get(prms.detect(spec.location, spec.format or None)).reader(tokenizer)
        return
    check_chat(what, tokenizer)
    with loading(what):
        tokenizer.apply_chat_template(PROMPTS[spec.prompt]("1 + 1?"), add_generation_prompt=True)


def _check_weights(what: str, folder: Path, *, pickles: bool) -> None:
    """Every file of weights is there and, as far as its header tells, whole.

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
