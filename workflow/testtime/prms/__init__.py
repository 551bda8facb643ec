"""PRM formats by name: the text a PRM reads and how its step scores are computed.

The catalog and the command line name the format; a model's name never determines it. Only a local
folder's architecture or the head among its weights may, if they are unambiguous. Their names are in
`study.catalog.PRM_FORMATS`, where a study is checked before anything is loaded.
"""

import importlib
import json
from pathlib import Path

from testtime.errors import UserError
from testtime.prms.base import Format, fit
from testtime.study.catalog import PRM_FORMATS, check_format

__all__ = ["detect", "fit", "get"]


def get(name: str) -> Format:
    """The format of this name; its module is imported now, for it needs torch.

    Raises:
        UserError: unknown format.
    """
    check_format("PRM format", name)
    return importlib.import_module(f"testtime.prms.{PRM_FORMATS[name].module}").FORMAT


def detect(model: str | Path, name: str | None) -> str:
    """The format of a model: the requested one, else the one that its head implies.

    Args:
        model: a local folder, or a hub id, which is not looked up.
        name: the requested format, or None.

    Raises:
        UserError: the format is unknown, or the head contradicts the requested one.
    """
    folder = Path(model)
    found = _implied_by("architecture", _architectures(folder))
    found = found or _implied_by("weight", _weight_names(folder))
    if name is None:
        if len(found) == 1:
            return found.pop()
        raise UserError(
            f"PRM {model}: nothing but its format's name can say how it is read; "
            f"allowed: {', '.join(PRM_FORMATS)}"
        )
    check_format("PRM format", name)
    if found and name not in found:
        raise UserError(f"PRM {model}: format {name!r} does not fit; its head is {found.pop()}'s")
    return name


def _implied_by(mark: str, names: list[str]) -> set[str]:
    """The formats whose architecture, or whose weight, a model has."""
    return {name for name, format in PRM_FORMATS.items() if getattr(format, mark) in names}


def _architectures(folder: Path) -> list[str]:
    return _read_json(folder / "config.json").get("architectures") or []


def _weight_names(folder: Path) -> list[str]:
    """Names of the weights in the folder's safetensors, from one file's header or the index."""
    index = _read_json(folder / "model.safetensors.index.json").get("weight_map")
    if index or not (folder / "model.safetensors").is_file():
        return list(index or [])
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "model.safetensors", framework="numpy") as weights:
            return list(weights.keys())
    except SafetensorError:  # the loader will say what is wrong with it
        return []


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
