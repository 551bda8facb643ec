"""A job's finished units, kept until its output is written, so that an interrupted job resumes.

A job adds its results a unit at a time (a problem, a tree, a chunk of texts), each as one line of a
file beside the results. The file's name holds a digest of everything that determines the output, so
that nothing is reused after a setting, a weight or a problem has changed.

A resumed job gives the same texts: every sample and tree has its own seeds. Numbers that models
compute (log-probabilities, scores) may differ in the seventh digit, as they do whenever batches
differ.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from testtime.errors import UserError
from testtime.study.layout import Layout


class Partial:
    """The finished units of a job; made by `resume`.

    Attributes:
        units: finished by earlier attempts: name -> rows as added, tuples as lists.
    """

    def __init__(self, path: Path):
        self._path = path
        self.units: dict[str, list] = dict(_read(path))
        self._file = path.open("ab", buffering=0)
        if self._file.tell():
            self._file.write(b"\n")  # ends a line that a killed job left incomplete

    def add(self, unit: str, rows: list) -> None:
        """Append a finished unit, in one write.

        Raises:
            UserError: the disk is full, or writing fails otherwise.
        """
        line = json.dumps([unit, rows], default=_plain) + "\n"
        try:
            self._file.write(line.encode())
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Keep the file and add no more to it."""
        self._file.close()


@contextmanager
def resume(
    output: str | Path, results: str | Path, params: Mapping, inputs: Sequence[str]
) -> Iterator[Partial]:
    """Yield the units that earlier attempts finished; delete the file when the block succeeds.

    Args:
        output: the file that the block writes.
        results: the study's folder, which it is in.
        params: settings that determine its content.
        inputs: files and folders that determine it; compared by size and time.
    """
    name = ".".join(Path(output).relative_to(results).with_suffix("").parts)
    layout = Layout(str(results))
    path = Path(layout.path("partial", attempt=f"{name}.{_digest(params, inputs)}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.glob(f"{name}.*{path.suffix}"):
        if other != path:
            other.unlink(missing_ok=True)
    partial = Partial(path)
    if partial.units:
        print(f"{len(partial.units)} units were finished before, in {path}", flush=True)
    try:
        yield partial
    finally:
        partial.close()
    path.unlink(missing_ok=True)  # another attempt may have deleted it


def _read(path: Path) -> Iterator[tuple[str, list]]:
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            try:
                unit, rows = json.loads(line)
            except (ValueError, TypeError):  # a killed job's last line
                continue
            yield unit, rows


def _digest(params: Mapping, inputs: Sequence[str]) -> str:
    known = [dict(params), [stamp for path in inputs for stamp in _stamps(Path(path))]]
    text = json.dumps(known, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stamps(path: Path) -> list[tuple[str, int, int]]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(str(file), os.stat(file)) for file in files]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def _plain(value: object) -> object:
    """A number of numpy's as Python's own."""
    return value.item()
