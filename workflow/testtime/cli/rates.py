"""What models' work has taken, read from the logs of a study or of a probe."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testtime.errors import UserError
from testtime.study.rates import MEASURED


@dataclass(frozen=True)
class Measurement:
    """What one job measured of one model.

    Attributes:
        kind: "policies" or "prms".
        alone: whether the job held no other model.
        tokens: drawn, or read.
        seconds: of that.
        start_seconds: until the model was loaded.
    """

    kind: str
    name: str
    alone: bool
    tokens: int
    seconds: float
    start_seconds: float


def measured_entries(place: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Entries for `catalog:` of a study's config, with the rates that logs tell.

    Jobs that held a model alone count; those of a search, where policy and PRM share time and
    GPUs, only for a model that has no others.

    Args:
        place: a folder of results, or a file of a probe.

    Returns:
        Kind ("policies", "prms") -> name -> rate in tokens per second, start_seconds.

    Raises:
        UserError: nothing was measured there.
    """
    found: dict[tuple[str, str], list[Measurement]] = {}
    for measured in _measurements(place):
        found.setdefault((measured.kind, measured.name), []).append(measured)
    if not found:
        raise UserError(f"--rates-from {place}: no job there has measured a model")
    entries: dict[str, dict] = {}
    for (kind, name), jobs in sorted(found.items()):
        counted = [job for job in jobs if job.alone] or jobs
        seconds = max(sum(job.seconds for job in counted), 1e-9)
        entries.setdefault(kind, {})[name] = {
            "rate": float(f"{sum(job.tokens for job in counted) / seconds:.3g}"),
            "start_seconds": round(sum(job.start_seconds for job in jobs) / len(jobs), 1),
        }
    return entries


def _measurements(place: Path) -> Iterator[Measurement]:
    for path in [place] if place.is_file() else sorted((place / "logs").rglob("*.log")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        told = [line.removeprefix(MEASURED) for line in lines if line.startswith(MEASURED)]
        for line in told:
            yield Measurement(**{"alone": len(told) == 1} | json.loads(line))
