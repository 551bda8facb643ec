"""PRM formats by name: the text a PRM reads and how its step scores come out.

The catalog and the command line name the format; a model's name never decides it. Only a local
folder's architecture or the head among its weights may, where they leave no doubt.
"""

import importlib
import json
from pathlib import Path

from testtime.errors import UserError
from testtime.prms.base import Encoded, Format, Reader, fit

__all__ = ["FORMATS", "Encoded", "Format", "Reader", "detect", "fit", "get"]

# Name -> module; modules are imported when asked for, since they need torch.
FORMATS = {
    "math-shepherd": "math_shepherd",
    "rlhflow": "rlhflow",
    "skywork": "skywork",
    "qwen2.5-math-prm": "qwen25_math_prm",
}

# Only heads of their own tell a format: a plain language model may be read in several.
ARCHITECTURES = {
    "Qwen2ForProcessRewardModel": "qwen2.5-math-prm",
    "Qwen2ForPrmModel": "skywork",
}
HEADS = {"score.2.weight": "qwen2.5-math-prm", "v_head.summary.weight": "skywork"}


def get(name: str) -> Format:
    """The format of this name.

    Raises:
        UserError: there is no such format.
    """
    if name not in FORMATS:
        raise UserError(f"PRM format {name!r} is not known; allowed: {', '.join(FORMATS)}")
    return importlib.import_module(f"testtime.prms.{FORMATS[name]}").FORMAT


def detect(model: str | Path, name: str | None) -> str:
    """The format to read a model in: the one asked for, else what its head says.

    Args:
        model: a local folder, or a hub id, of which nothing is looked up.
        name: the format asked for, or None.

    Raises:
        UserError: nothing says the format, or the head contradicts the one asked for.
    """
    folder = Path(model)
    found = {ARCHITECTURES[a] for a in _architectures(folder) if a in ARCHITECTURES}
    found = found or {HEADS[name] for name in _weight_names(folder) if name in HEADS}
    if name is None:
        if len(found) == 1:
            return found.pop()
        raise UserError(
            f"PRM {model}: nothing but its format's name can say how it is read; "
            f"allowed: {', '.join(FORMATS)}"
        )
    get(name)
    if found and name not in found:
        raise UserError(f"PRM {model}: format {name!r} does not fit; its head is {found.pop()}'s")
    return name


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
