"""Which weights a local model has, by the content of its files."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

# Suffixes of a model's files: weights, tokenizer, chat template and sampling defaults.
MODEL_FILES = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"}
LARGE = 64 * 2**20  # bytes of a file that takes long to read
THREADS, CHUNK = 8, 2**24

Known = dict[str, list]  # path -> size, time of change in nanoseconds, digest


def model_files(folder: Path) -> list[Path]:
    """The files of a model that decide what it computes, by name."""
    return sorted(path for path in folder.glob("*") if path.suffix in MODEL_FILES)


def at_a_glance(folder: Path) -> dict[str, str]:
    """The files of a model: digests of small ones, sizes and times of large ones."""
    return {path.name: _glance(path) for path in model_files(folder)}


def digests(folder: Path, known: Known) -> dict[str, str]:
    """The digest of each of a model's files, by name.

    Args:
        folder: of the model.
        known: digests of large files from before, used where size and time are the same; new ones
            are added.
    """
    files = model_files(folder)
    with ThreadPoolExecutor(THREADS) as threads:
        return dict(
            zip(
                (path.name for path in files),
                threads.map(lambda path: _digest(path, known), files),
                strict=True,
            )
        )


def _glance(path: Path) -> str:
    size, changed = _stat(path)
    return _read(path, size, changed) if size < LARGE else f"{size} bytes of {changed}"


def _digest(path: Path, known: Known) -> str:
    name, stat = str(path.resolve()), _stat(path)
    if stat[0] < LARGE:
        return _read(path, *stat)
    if known.get(name, [])[:2] != stat:
        known[name] = [*stat, _read(path, *stat)]
    return known[name][2]


def _stat(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


@cache
def _read(path: Path, size: int, changed: int) -> str:
    """The digest of a file; size and time are what tells whether it was read before."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()[:24]
