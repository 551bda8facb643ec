"""What a program depends on: itself and every module of the project that it imports, transitively.

Snakemake does not see edits of imported modules. Rules that follow their code have these files as
inputs, so that what reruns after an edit is computed and never listed by hand.
"""

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from testtime.study.layout import WORKFLOW

PACKAGES = ("testtime", "microcosm")


def import_closure(*programs: Path) -> list[Path]:
    """Source files that programs consist of, sorted.

    Imports inside functions count, those only for type checkers do not; a module brings the
    `__init__.py` of its parent packages, which Python runs first.

    Args:
        programs: scripts, modules or notebooks.
    """
    found: set[Path] = set()
    todo = [program.resolve() for program in programs]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += _imports(path)
    return sorted(found)


def module_file(name: str) -> Path | None:
    """The file of a dotted module name, None if it is not a module of the project."""
    path = WORKFLOW.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if name.split(".", maxsplit=1)[0] in PACKAGES and candidate.is_file():
            return candidate
    return None


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    """Files that a program imports directly."""
    names = {part for name in _imported_names(ast.parse(_source(path))) for part in _parents(name)}
    return tuple(file for name in sorted(names) if (file := module_file(name)) is not None)


def _source(path: Path) -> str:
    """Python source; for a notebook, that of its code cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return "\n".join("".join(cell["source"]) for cell in cells)


def _imported_names(node: ast.AST) -> Iterator[str]:
    """Dotted names that may be modules: for `from a import b` both a and a.b."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        else:
            yield from _imported_names(child)


def _parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[: n + 1]) for n in range(len(parts)))
