"""Making the package and its programs available in every job, whatever environment it runs in."""

import os
import sys
from pathlib import Path

WORKFLOW = Path(__file__).resolve().parents[2]


def export_package() -> None:
    """Set what Snakemake's jobs inherit.

    The package's folder goes on PYTHONPATH and this Python's programs on PATH, so that a run that
    was started without activating its environment finds the notebooks' runner; its settings lie
    beside the notebooks.
    """
    _prepend("PYTHONPATH", WORKFLOW)
    _prepend("PATH", Path(sys.executable).parent)
    _prepend("JUPYTER_CONFIG_PATH", WORKFLOW.parent / "notebooks")


def _prepend(name: str, folder: Path) -> None:
    known = os.environ.get(name, "").split(os.pathsep)
    os.environ[name] = os.pathsep.join(
        [str(folder), *(p for p in known if p not in {"", str(folder)})]
    )
