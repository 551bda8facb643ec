"""Engine transformers, for the CPU or one GPU."""

import importlib
from pathlib import Path

import transformers
from transformers.utils import import_utils


def _import_models() -> None:
    """Import transformers' list of its models, for which it reads all of their files twice.

    It does so for its own import and for that of `transformers.models`, and its cache does not
    notice, because it gets the name of a folder once and that of a file in it then. That is up to a
    tenth of a tiny model's start-up time. A version without that function reads them twice.
    """
    name = "create_import_structure_from_path"
    read = getattr(import_utils, name, None)
    folder = Path(transformers.__file__).parent / "models"
    same = str(folder / "__init__.py")
    if read is not None:
        setattr(import_utils, name, lambda path: read(folder if path == same else path))
    try:
        importlib.import_module("transformers.models")
    finally:
        if read is not None:
            setattr(import_utils, name, read)


_import_models()
