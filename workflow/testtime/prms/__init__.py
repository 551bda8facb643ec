"""PRM formats by name: the text a PRM reads and how its step scores come out.

The catalog and the command line name the format; a model's name never decides it. Only the
`architectures` of a local folder's config.json may, where they leave no doubt.
"""

import importlib
import json
from pathlib import Path

from testtime.errors import UserError
from testtime.prms.base import Encoded, Format, Reader, check_length

__all__ = ["FORMATS", "Encoded", "Format", "Reader", "check_length", "detect", "get"]

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


def get(name: str) -> Format:
    """The format of this name.

    Raises:
        UserError: there is no such format.
    """
    if name not in FORMATS:
        raise UserError(f"PRM format {name!r} is not known; allowed: {', '.join(FORMATS)}")
    return importlib.import_module(f"testtime.prms.{FORMATS[name]}").FORMAT


def detect(model: str | Path, name: str | None) -> str:
    """The format to read a model in: the one asked for, else what its architecture says.

    Args:
        model: a local folder, or a hub id, of which nothing is looked up.
        name: the format asked for, or None.

    Raises:
        UserError: nothing says the format, or the architecture contradicts the one asked for.
    """
    found = {ARCHITECTURES[a] for a in _architectures(Path(model)) if a in ARCHITECTURES}
    if name is None:
        if len(found) == 1:
            return found.pop()
        raise UserError(
            f"PRM {model}: its format cannot be told from its architecture; "
            f"give one of {', '.join(FORMATS)}"
        )
    get(name)
    if found and name not in found:
        raise UserError(f"PRM {model}: format {name!r} does not fit; its head is {found.pop()}'s")
    return name


def _architectures(folder: Path) -> list[str]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return config.get("architectures") or []
