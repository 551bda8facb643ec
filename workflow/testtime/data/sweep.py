"""What the store of rows holds, what of it no study needs, and sweeping that out.

A study needs the rows that follow its settings: all samples of a problem that they draw, also those
beyond a pool that was made smaller, which a larger one takes up again.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

from testtime.data import places
from testtime.data.decided import cells, identities
from testtime.data.problems import as_problems, load_problems
from testtime.data.rows import SUFFIX, read_lines
from testtime.data.store import write_bytes
from testtime.errors import UserError
from testtime.study.study import Study
from testtime.study.types import Problem

# A job's file in the store; see `rows`.
OWN = re.compile(rf"(generate|score|search)/.+/\d{{20}}-[0-9a-f]{{8}}{re.escape(SUFFIX)}")
# Stamps by the name of a cell in the store; None stands for all of them.
Needed = dict[str, set[str] | None]


@dataclass(frozen=True)
class Held:
    """The rows of a cell.

    Attributes:
        stage: "generate", "score" or "search".
        cell: its names, as in the path.
        size: in bytes.
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
            try:
                stamps = cell.stamps(problems(cell.dataset), weights)
            except UserError:
                found[cell.name] = None
            else:
                known = found.get(cell.name, set())
                found[cell.name] = None if known is None else known | stamps
    return found


def held(study: Study, stamps: Needed) -> Iterator[Held]:
    """What a study's store holds, cell by cell."""
    for name, sizes in _stored(study).items():
        total = unneeded = 0
        for path in sizes:
            for stamp, line in read_lines(path):
                total += len(line)
                unneeded += 0 if _is_needed(stamp, name, stamps) else len(line)
        stage, _, cell = name.partition("/")
        yield Held(stage, cell, sum(sizes.values()), unneeded / total if total else 0)


def sweep(study: Study, stamps: Needed) -> int:
    """Delete the rows of a study's store that are not needed.

    No run may be writing there, see `runtime.lock.hold`.

    Returns:
        The bytes that this frees.

    Raises:
        UserError: a file cannot be read or written.
    """
    freed = 0
    for name, sizes in _stored(study).items():
        for path, size in sizes.items():
            lines = [(line, _is_needed(stamp, name, stamps)) for stamp, line in read_lines(path)]
            kept = [line for line, is_needed in lines if is_needed]
            if len(kept) == len(lines) > 0:
                continue
            freed += size
            if not kept:
                places.remove(path)
                continue
            packed = b"".join(gzip.compress(line, mtime=0) for line in kept)
            write_bytes(packed, path)
            freed -= len(packed)
    return freed


def _problems(study: Study, dataset: str) -> list[Problem]:
    spec, config = study.catalog.dataset(dataset), study.config
    rows = load_problems(spec, seed=config["seed"], limit=config["problems"]["limit"])
    return as_problems(rows)


def _is_needed(stamp: str, cell: str, stamps: Needed) -> bool:
    known = stamps.get(cell, set())
    return known is None or stamp in known


def _stored(study: Study) -> dict[str, dict[str, int]]:
    """The files of the store and their sizes, by the name of their cell there.

    Whatever else lies in the same place is none of them.
    """
    found: dict[str, dict[str, int]] = {}
    for name, size in places.find(study.store, SUFFIX).items():
        if OWN.fullmatch(name):
            found.setdefault(name.rpartition("/")[0], {})[f"{study.store}/{name}"] = size
    return found
