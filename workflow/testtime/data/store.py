"""Reading and writing the study's files: complete or not at all."""

import gzip
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from testtime.data import places
from testtime.errors import DISK_FULL, UserError
from testtime.runtime.lock import check_run
from testtime.study.layout import identify, sum_of

# Keys of a Parquet file's metadata: the names in its path, and the stamp of what decided it.
HOLDS, STAMP = "testtime.holds", "testtime.stamp"


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` that replaces it only if the block succeeds.

    A killed job therefore leaves no half-written file under the final name, and two writers
    cannot mix their bytes.

    Raises:
        UserError: the file cannot be written, because the disk is full for example.
        RunOverError: this is a job of an earlier run, see `lock.check_run`.
    """
    path = Path(path)
    temporary = None
    with _writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(
                dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
            )
            os.close(handle)
            temporary = Path(name)
            yield temporary
            temporary.chmod(0o644)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())  # where a network file system reports a full quota
            check_run()
            temporary.replace(path)
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """The same for a folder; it replaces an existing one.

    Raises:
        UserError: the folder cannot be written.
        RunOverError: this is a job of an earlier run, see `lock.check_run`.
    """
    path = Path(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
            new, old = Path(scratch, "new"), Path(scratch, "old")
            new.mkdir()
            yield new
            check_run()
            if path.exists():
                path.rename(old)
            new.rename(path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "; free some, or set another `results:`" if error.errno in DISK_FULL else ""
        raise UserError(f"cannot write {path}: {error.strerror or error}{advice}") from error


def write_parquet(
    rows: pd.DataFrame | pa.Table, path: str | Path, stamp: str | None = None
) -> None:
    """Write a table atomically; the bytes depend only on the arguments.

    The names in its path (see `study.layout`) are recorded in the file, for `read_places`.

    Args:
        rows: of the table.
        path: of the file.
        stamp: of what decided the rows, for `stamp_of`.
    """
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
    _, names = identify(path) or ("", {})
    metadata = {HOLDS: json.dumps(names, sort_keys=True)} if names else {}
    metadata |= {STAMP: stamp} if stamp else {}
    with atomic(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata(metadata or None),
            temporary,
            compression="zstd",
            write_page_checksum=True,
        )


def read_parquet(
    *paths: str | Path, columns: list[str] | None = None, filters: list[tuple] | None = None
) -> pd.DataFrame:
    """Read and stack tables of one kind.

    Args:
        paths: of the files.
        columns: to be read; all by default.
        filters: conditions of the rows to be read, as pyarrow takes them: (column, "in", values).

    Raises:
        UserError: a file is missing, cut short or corrupt; the message names it.
    """
    frames = [_read_table(path, columns, filters).to_pandas() for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def read_places(
    paths: Iterable[str | Path], names: Sequence[str], columns: list[str] | None = None
) -> pd.DataFrame:
    """Read and stack tables of one kind, with the names recorded in their files.

    Args:
        paths: of files below a study's results.
        names: those names in their paths that become columns, e.g. dataset and policy.
        columns: columns to read; all by default.

    Raises:
        UserError: as in `read_parquet`, or a file does not record what it holds.
    """
    frames = []
    for path in paths:
        table = _read_table(path, columns)
        holds = holds_of(table, path)
        frames.append(table.to_pandas().assign(**{name: holds[name] for name in names}))
    if not frames:
        return pd.DataFrame(columns=[*(columns or []), *names])
    return pd.concat(frames, ignore_index=True)


def holds_of(table: pa.Table, path: str | Path) -> dict[str, str]:
    """The names (dataset, policy, ...) that `write_parquet` left in a file.

    Raises:
        UserError: there are none; the message names the file.
    """
    found = (table.schema.metadata or {}).get(HOLDS.encode())
    if found is None:
        raise UserError(f"{path} does not say what it holds; delete it and run again to rebuild it")
    return json.loads(found)


def stamp_of(path: str | Path) -> str | None:
    """The stamp of what decided a Parquet file; None if it has none, or cannot be read."""
    try:
        with places.opened(path) as file:
            found = (pq.read_schema(file).metadata or {}).get(STAMP.encode())
    except (pa.ArrowException, OSError):
        return None
    return found.decode() if found is not None else None


def read_lengths(path: str | Path, column: str) -> tuple[np.ndarray, dict[str, str]]:
    """The lengths of a column of lists, without its values, and the names recorded in the file.

    Raises:
        UserError: as `read_places`.
    """
    table = _read_table(path, [column])
    return pc.list_value_length(table[column]).to_numpy(), holds_of(table, path)


def _read_table(
    path: str | Path, columns: list[str] | None, filters: list[tuple] | None = None
) -> pa.Table:
    try:
        if filters is not None:
            return pq.read_table(
                path,
                columns=columns,
                filters=filters,
                partitioning=None,  # a results folder may be called "a=b"
                page_checksum_verification=True,
            )
        return pq.ParquetFile(path, page_checksum_verification=True).read(columns=columns)
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}") from error
    except MemoryError:  # Arrow's own is one of its exceptions too
        raise
    except (pa.ArrowException, OSError) as error:
        # With an error number, the system could not read it, which says nothing about its content.
        if reason := getattr(error, "errno", None) and error.strerror:
            raise UserError(f"cannot read {path}: {reason}") from error
        raise _broken(path, "is not a whole Parquet file", error) from error


def write_csv(rows: pd.DataFrame, path: str | Path) -> None:
    """Write a table that a person reads: atomically, floats to six digits."""
    with _summed(path) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table as written; only empty cells are missing values, as a policy may be called "NA".

    An empty table, written without a header, is an empty frame.

    Raises:
        UserError: the file is missing or is not as it was written; the message names it.
    """
    content = _read_whole(path)
    try:
        return pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""])
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except ValueError as error:
        raise _broken(path, "is not a whole table", error) from error


def read_json(path: str | Path) -> object:
    """Read a JSON file, or an object of an object store.

    Raises:
        UserError: the file is missing or is not as it was written; the message names it.
    """
    content = _read_whole(path)
    try:
        return json.loads(content)
    except ValueError as error:
        raise _broken(path, "is not whole JSON", error) from error


def write_json(value: object, path: str | Path) -> None:
    """Write JSON atomically, with sorted keys; to an object store too."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_bytes(text.encode(), path)


def write_bytes(content: bytes, path: str | Path) -> None:
    """Write a file, or an object of an object store, atomically."""
    if places.is_url(path):
        places.put(content, str(path))
        return
    with _summed(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def _summed(path: str | Path) -> Iterator[Path]:
    """As `atomic`; a file of the kinds that have one leaves its digest, for `_read_whole`.

    The old digest goes before the file comes: a job that is killed in between leaves a file without
    one, which is whole, as every file that is there.
    """
    record = sum_of(path)
    with atomic(path) as temporary:
        yield temporary
        if record is not None:
            known = _digest(temporary.read_bytes())
            check_run()
            record.unlink(missing_ok=True)
    if record is not None:
        with atomic(record) as temporary:
            temporary.write_text(known)


def _read_whole(path: str | Path) -> bytes:
    """The content of a file, compared with the digest that its writer left, if it left one.

    There is none of files from elsewhere, or of a study that an older version ran.

    Raises:
        UserError: the file is missing, or another one than was written; the message names it.
    """
    try:
        content = places.read(path)
        record = sum_of(path)
        known = record.read_text() if record is not None and record.exists() else None
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if known is not None and known != _digest(content):
        raise _broken(path, "is not as it was written", "it was cut short or edited")
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _broken(path: str | Path, what: str, why: object) -> UserError:
    """The error of a file that must be made again; one line, whatever the reason has."""
    reason = " ".join(str(why).split())
    return UserError(f"{path} {what} ({reason}); delete it and run again to rebuild it")


def read_jsonl(path: str | Path) -> Iterator[dict]:
    """Yield the objects of a JSON-lines file (.gz is unpacked), one per non-blank line.

    Raises:
        UserError: the file is missing, or a line is not a JSON object; the line is named.
    """
    for _, row in read_numbered_jsonl(path):
        yield row


def read_numbered_jsonl(path: str | Path) -> Iterator[tuple[int, dict]]:
    """The same with each object's line number, from 1, for messages that name the line."""
    number = 0
    opened = gzip.open if str(path).endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, _parse_line(line, path, number)
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, near line {number + 1}: not UTF-8") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise UserError(f"{path}: not a whole gzip file ({error})") from error


def _parse_line(line: str, path: str | Path, number: int) -> dict:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}, line {number}: expected an object, found {type(value).__name__}")
    return value


def write_jsonl(rows: Iterable[dict], path: str | Path) -> None:
    """Write JSON lines atomically."""
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
