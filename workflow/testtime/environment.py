"""Making the package importable in every job, whatever environment the job runs in."""

import os
from pathlib import Path


def export_package() -> None:
    """Put this package's folder on PYTHONPATH, which Snakemake's jobs inherit."""
    folder = str(Path(__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [folder, *(p for p in known if p not in {"", folder})]
    )
