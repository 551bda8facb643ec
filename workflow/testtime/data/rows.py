"""The store of rows: what jobs have drawn, scored and searched, kept one row at a time.

A cell (a policy's samples on a dataset, a PRM's scores of them, its searches with a PRM) has a
folder. Each job that computes rows of the cell appends to a file of its own there, so that several
may write at once and a killed one loses only what it was computing. A row is found by its stamp, a
digest of all that decided it, and by its key among the rows of that stamp. So a row is computed
once, whichever job, shard or run asks for it, and one that was decided otherwise is never found.

The files are JSON lines, compressed a line at a time (`zcat` reads them):
[stamp, [[key, row], ...]].

An object store cannot append. There a job writes an object every minute, and one at its end or when
it is told to end, so that no two jobs ever write the same one and a killed job also loses the rows
of its last minute.
"""

import errno
import gzip
import hashlib
import io
import json
import os
import signal
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from testtime.data import places
from testtime.errors import UserError
from testtime.runtime.lock import check_run

Key = int | str
SUFFIX = ".jsonl.gz"
SECONDS = 60  # that rows wait for others before they are written as an object


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
    """Rows of a cell's folder, or of its place in an object store; made by `open_rows`."""

    def __init__(self, folder: str | Path, stamps: Container[str]):
        super().__init__()
        self._folder, self._stamps, self._file = folder, stamps, None
        paths = [f"{folder}/{name}" for name in places.find(folder, SUFFIX)]
        with ThreadPoolExecutor(places.THREADS) as threads:
            read = threads.map if places.is_url(folder) else map  # a disk has nothing to wait for
            for stamp, rows in chain.from_iterable(read(self._wanted, paths)):
                known = self._rows.setdefault(stamp, {})
                for key, row in rows:
                    known.setdefault(key, row)  # of two writers of a row the first one counts

    def _wanted(self, path: str) -> list[tuple[str, list[tuple[Key, object]]]]:
        return [line for line in read_rows(path) if line[0] in self._stamps]

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
                self._file = _own_file(self._folder)
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


class Objects:
    """A file as a sequence of objects, each of what was written within some time.

    Args:
        url: of the folder.
        seconds: that what was written waits for more.
    """

    def __init__(self, url: str, seconds: float = SECONDS):
        self._url, self._seconds = url, seconds
        self._waiting, self._lock = bytearray(), threading.Lock()
        self._timer: threading.Timer | None = None

    def write(self, data: bytes) -> int:
        """Add some bytes, which stay together; returns how many."""
        with self._lock:
            self._waiting += data
            if self._timer is None:
                self._start_timer()
        return len(data)

    def _start_timer(self) -> None:
        self._timer = threading.Timer(self._seconds, self._in_time)
        self._timer.daemon = True
        self._timer.start()

    def _in_time(self) -> None:
        try:
            self._flush()
        except UserError as error:  # what could not be written waits on
            print(f"{error}; tried again in {self._seconds} s", file=sys.stderr, flush=True)
            with self._lock:
                self._start_timer()

    def _flush(self) -> None:
        with self._lock:
            self._timer = None
            if self._waiting:
                places.put(bytes(self._waiting), f"{self._url}/{_own_name()}")
                self._waiting.clear()

    def close(self) -> None:
        """Write what waits.

        Raises:
            UserError: it cannot be written.
        """
        if (timer := self._timer) is not None:
            timer.cancel()
        self._flush()


def _own_file(folder: str | Path) -> BinaryIO | Objects:
    if places.is_url(folder):
        return Objects(str(folder))
    Path(folder).mkdir(parents=True, exist_ok=True)
    return (Path(folder) / _own_name()).open("xb", buffering=0)


@contextmanager
def open_rows(folder: str | Path, stamps: Container[str]) -> Iterator[StoredRows]:
    """The rows of a cell that have one of these stamps, open for more.

    Args:
        folder: of the cell, or its URL.
        stamps: of the rows that are read.

    Raises:
        UserError: the folder cannot be read or written.
    """
    with _told_to_end() if places.is_url(folder) else nullcontext():
        rows = StoredRows(folder, stamps)
        try:
            yield rows
        finally:
            rows.close()


@contextmanager
def _told_to_end() -> Iterator[None]:
    """Let a scheduler's signal end the process like an exception, so that rows are kept."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def read_rows(path: str | Path) -> Iterator[tuple[str, list[tuple[Key, object]]]]:
    """Stamps and rows of one file of a store, up to the line that a killed job left incomplete.

    Raises:
        UserError: the file cannot be read; names it.
    """
    for _, line in read_lines(path):
        yield json.loads(line)


def read_lines(path: str | Path) -> Iterator[tuple[str, bytes]]:
    """The same with each line as it is, which is quicker.

    Raises:
        UserError: as of `read_rows`.
    """
    try:
        with _unpacked(path) as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield line[2 : line.index(b'"', 2)].decode(), line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _unpacked(path: str | Path) -> gzip.GzipFile:
    return gzip.open(io.BytesIO(places.read(path)) if places.is_url(path) else path)


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
