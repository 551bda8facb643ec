"""The store of rows: what jobs have drawn, scored and searched, kept one row at a time.

A cell (a policy's samples on a dataset, a PRM's scores of them, its searches with a PRM) has a
folder. Each job that computes rows of the cell appends to a file of its own there, so that several
may write at once and a killed one loses only what it was computing. A row is found by its stamp, a
digest of all that decided it, and by its key among the rows of that stamp. So a row is computed
once, whichever job, shard or run asks for it, and one that was decided otherwise is never found.

The files are JSON lines, compressed a line at a time (`zcat` reads them):
[stamp, [[key, row], ...]].
"""

import errno
import gzip
import hashlib
import json
import os
import time
import uuid
import zlib
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from testtime.errors import UserError
from testtime.runtime.lock import check_run

Key = int | str
SUFFIX = ".jsonl.gz"


class Rows:
    """Rows in memory, by stamp and key."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[Key, object]] = {}

    def of(self, stamp: str) -> Mapping[Key, object]:
        """The rows of a stamp, by key."""
        return self._rows.get(stamp, {})

    def add(self, stamp: str, rows: Mapping[Key, object]) -> None:
        """Keep some rows of a stamp."""
        self._rows.setdefault(stamp, {}).update(rows)


class StoredRows(Rows):
    """Rows of a cell's folder; made by `open_rows`."""

    def __init__(self, folder: Path, stamps: Container[str]):
        super().__init__()
        self._folder, self._file = folder, None
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            for stamp, rows in read_rows(path):
                if stamp in stamps:
                    known = self._rows.setdefault(stamp, {})
                    for key, row in rows:
                        known.setdefault(key, row)  # of two writers of a row the first one counts

    def add(self, stamp: str, rows: Mapping[Key, object]) -> None:
        """Keep some rows of a stamp, in the cell's folder too, in one write.

        Raises:
            UserError: the disk is full, or writing fails otherwise.
            RunOverError: this is a job of an earlier run, see `lock.check_run`. These rows are
                kept; what it would compute next, a job of the new run computes.
        """
        super().add(stamp, rows)
        line = json.dumps([stamp, list(rows.items())], default=_plain) + "\n"
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = (self._folder / _own_name()).open("xb", buffering=0)
            packed = gzip.compress(line.encode(), mtime=0)
            if self._file.write(packed) < len(packed):  # the last bytes of a disk or a quota
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise UserError(f"cannot write in {self._folder}: {error.strerror}") from error
        check_run()

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            self._file.close()


@contextmanager
def open_rows(folder: str | Path, stamps: Container[str]) -> Iterator[StoredRows]:
    """The rows of a cell that have one of these stamps, open for more.

    Raises:
        UserError: the folder cannot be read or written.
    """
    rows = StoredRows(Path(folder), stamps)
    try:
        yield rows
    finally:
        rows.close()


def read_rows(path: Path) -> Iterator[tuple[str, list[tuple[Key, object]]]]:
    """Stamps and rows of one file of a store, up to the line that a killed job left incomplete.

    Raises:
        UserError: the file cannot be read; names it.
    """
    for _, line in read_lines(path):
        yield json.loads(line)


def read_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """The same with each line as it is, which is quicker.

    Raises:
        UserError: as of `read_rows`.
    """
    try:
        with gzip.open(path) as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield line[2 : line.index(b'"', 2)].decode(), line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def digest(*known: object) -> str:
    """A digest of plain values, the same for equal ones in every process."""
    text = json.dumps(known, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _own_name() -> str:
    """A name for this process's file; in the order of their beginning."""
    return f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}{SUFFIX}"


def _plain(value: object) -> object:
    """A number of numpy's as Python's own."""
    return value.item()
