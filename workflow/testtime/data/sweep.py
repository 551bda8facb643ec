"""What the store of rows holds, what of it no study needs, and sweeping that out.

A study needs the rows that follow its settings: all samples of a problem that they draw, also those
beyond a pool that was made smaller, which a larger one takes up again.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from testtime.data.decided import cells, identities
from testtime.data.problems import as_problems, load_problems
from testtime.data.rows import SUFFIX, read_lines
from testtime.data.store import atomic
from testtime.errors import UserError
from testtime.study.layout import identify
from testtime.study.study import Study
from testtime.study.types import Problem

# Stamps by the folder of a cell; None stands for all of them.
Needed = dict[Path, set[str] | None]


@dataclass(frozen=True)
class Held:
    """The rows of a cell.

    Attributes:
        stage: "generate", "score" or "search".
        cell: its names, as in the path.
        size: bytes on the disk.
        unneeded: the share of them that no study needs, by the length of their text.
    """

    stage: str
    cell: str
    size: int
    unneeded: float


def needed(*studies: Study) -> Needed:
    """The stamps that these studies need; all of a cell whose model or problems cannot be found."""
    found: Needed = {}
    for study in studies:
        problems, weights = cache(partial(_problems, study)), identities(study)
        for cell in cells(study):
            folder = Path(cell.store).resolve()
            try:
                stamps = cell.stamps(problems(cell.dataset), weights)
            except UserError:
                found[folder] = None
            else:
                known = found.get(folder, set())
                found[folder] = None if known is None else known | stamps
    return found


def held(study: Study, stamps: Needed) -> Iterator[Held]:
    """What the store beside a study's results holds, cell by cell."""
    for folder, paths in _stored(study).items():
        total = unneeded = 0
        for path in paths:
            for stamp, line in read_lines(path):
                total += len(line)
                unneeded += 0 if _is_needed(stamp, folder, stamps) else len(line)
        _, names = identify(folder)
        size = sum(path.stat().st_size for path in paths)
        yield Held(names["stage"], names["job"], size, unneeded / total if total else 0)


def sweep(study: Study, stamps: Needed) -> int:
    """Delete the rows beside a study's results that are not needed.

    No run may be writing there, see `runtime.lock.hold`.

    Returns:
        The bytes that this frees.

    Raises:
        UserError: a file cannot be read or written.
    """
    freed = 0
    for folder, paths in _stored(study).items():
        for path in paths:
            lines = [(line, _is_needed(stamp, folder, stamps)) for stamp, line in read_lines(path)]
            kept = [line for line, is_needed in lines if is_needed]
            if len(kept) == len(lines) > 0:
                continue
            freed += path.stat().st_size
            if not kept:
                path.unlink()
                continue
            with atomic(path) as temporary, temporary.open("wb") as out:
                out.writelines(gzip.compress(line, mtime=0) for line in kept)
            freed -= path.stat().st_size
    return freed


def _problems(study: Study, dataset: str) -> list[Problem]:
    spec, config = study.catalog.dataset(dataset), study.config
    rows = load_problems(spec, seed=config["seed"], limit=config["problems"]["limit"])
    return as_problems(rows)


def _is_needed(stamp: str, folder: Path, stamps: Needed) -> bool:
    known = stamps.get(folder, set())
    return known is None or stamp in known


def _stored(study: Study) -> dict[Path, list[Path]]:
    """The files of the store, by the folder of their cell."""
    found: dict[Path, list[Path]] = {}
    for path in sorted(Path(study.layout.folder("store")).resolve().rglob(f"*{SUFFIX}")):
        found.setdefault(path.parent, []).append(path)
    return found
