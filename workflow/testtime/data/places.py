"""Files of a folder or of an object store.

A place is a path, or a URL such as s3://bucket/study of any object store that fsspec knows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from testtime.errors import UserError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

THREADS = 16  # files of an object store that are read at once


def is_url(place: str | Path) -> bool:
    """Whether a place is in an object store."""
    return "://" in str(place)


def check(place: str | None) -> None:
    """Refuse a URL that no installed package can read.

    Raises:
        UserError: says what is missing.
    """
    if place is not None and is_url(place):
        with _file_system(place):
            pass


def resolved(place: str) -> str:
    """One spelling of a place."""
    return place.rstrip("/") if is_url(place) else str(Path(place).resolve())


def find(place: str | Path, suffix: str) -> dict[str, int]:
    """The files anywhere below a place whose names end so; none if there is no such place.

    Returns:
        Their sizes in bytes by their names from the place, sorted.

    Raises:
        UserError: the place cannot be reached.
    """
    if is_url(place):
        with _bucket(place) as (system, root):
            sizes = {path: info["size"] for path, info in system.find(root, detail=True).items()}
            found = {path.removeprefix(f"{root}/"): size for path, size in sizes.items()}
    else:
        paths = Path(place).rglob(f"*{suffix}")
        found = {path.relative_to(place).as_posix(): path.stat().st_size for path in paths}
    return {name: found[name] for name in sorted(found) if name.endswith(suffix)}


@contextmanager
def opened(place: str | Path) -> Iterator[BinaryIO]:
    """A file, open for reading from any position.

    Raises:
        FileNotFoundError: there is none.
        UserError: the object store cannot be reached.
    """
    if is_url(place):
        with _file_system(place) as (system, path):
            found = system.open(path, "rb")
        with found:  # what its reader raises says nothing of the store
            yield found
    else:
        with open(place, "rb") as file:
            yield file


def read(place: str | Path) -> bytes:
    """The content of a file; errors as of `opened`."""
    if not is_url(place):
        return Path(place).read_bytes()
    with _file_system(place) as (system, path):
        return system.cat_file(path)


def put(content: bytes, url: str) -> None:
    """Write an object, which appears whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    with _bucket(url) as (system, path):
        system.pipe_file(path, content)


def remove(place: str | Path) -> None:
    """Delete a file; errors as of `opened`."""
    if is_url(place):
        with _file_system(place) as (system, path):
            system.rm_file(path)
    else:
        Path(place).unlink()


@contextmanager
def _file_system(url: str | Path) -> Iterator[tuple["AbstractFileSystem", str]]:
    """The file system of a URL, and the path there; whatever fails names the URL."""
    from fsspec.core import url_to_fs  # folders need none

    try:
        # What other machines write must be seen at once.
        yield url_to_fs(str(url), use_listings_cache=False)
    except (FileNotFoundError, UserError):
        raise
    except ImportError as error:
        raise UserError(f"{url}: {error}; for s3:// `pip install 'testtime[s3]'`") from error
    except Exception as error:  # each file system has its own
        raise UserError(f"cannot reach {url}: {' '.join(str(error).split())}") from error


@contextmanager
def _bucket(url: str | Path) -> Iterator[tuple["AbstractFileSystem", str]]:
    """The same where only the bucket itself can be missing."""
    try:
        with _file_system(url) as found:
            yield found
    except FileNotFoundError as error:
        raise UserError(f"cannot reach {url}: no such bucket") from error
