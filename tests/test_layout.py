"""Every path of a results folder has one owner, and every file says what it holds."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from testtime.data.store import read_parquet, read_places, write_parquet
from testtime.errors import UserError
from testtime.study.layout import (
    CELL_KINDS,
    PATTERNS,
    STAGE_OF,
    STAGES,
    WORKFLOW,
    Layout,
    identify,
    names_in,
)

# The rooms of the package from top to bottom: each imports from those above it alone.
ROOMS = ("errors", "study", "runtime", "data", "prms", "engines", "grade")
ROOMS += (
    ("search", "sample", "think", "score"),
    "evaluate",
    "fit",
    "compare",
    "present",
    "solve",
    "cli",
)


@pytest.mark.parametrize("kind", PATTERNS)
@pytest.mark.parametrize(
    "results", ["results", "/data/grades", "problems/generations", "/store/me/x"]
)
def test_a_path_tells_its_kind_and_names(kind, results):
    names = {name: f"{name}.{i}-x" for i, name in enumerate(names_in(kind))}
    assert identify(Layout(results).path(kind, **names)) == (kind, names)


@pytest.mark.parametrize("path", ["README.md", "results/models", "problems/a/b/c.parquet"])
def test_other_places_are_none_of_them(path):
    assert identify(path) is None


def test_logs_lie_in_the_folder_of_their_stage():
    assert Layout("r").log("scores") == "r/logs/score/{dataset}/{policy}/{prm}/{block}/{shard}.log"
    assert Layout("r").benchmark("report") == "r/benchmarks/report/report.tsv"
    assert set(STAGE_OF.values()) <= set(STAGES)
    others = {"outcomes", "table", "lookup", "log", "benchmark", "lock"}
    others |= {"store", "weights", "decided", "replaced", "sum", "checkpoint"}
    assert set(STAGE_OF) | others == set(PATTERNS)
    assert all(names_in(kind) == ("dataset", "policy") for kind in CELL_KINDS)


def test_a_file_says_what_it_holds_wherever_it_is_moved(tmp_path):
    layout = Layout(str(tmp_path))
    names = {"dataset": "math500", "policy": "qwen", "block": "0-4", "shard": "1-of-1"}
    path = layout.path("generations", **names)
    write_parquet(pd.DataFrame({"problem_id": ["a"], "sample": [0]}), path)
    moved = tmp_path / "moved.parquet"
    moved.write_bytes((tmp_path / path).read_bytes())
    for place in (path, moved):
        rows = read_places([place], ["policy", "block"], columns=["problem_id"])
        assert rows.to_dict("records") == [{"problem_id": "a", "policy": "qwen", "block": "0-4"}]


def test_a_file_that_does_not_say_what_it_holds_is_refused_by_name(tmp_path):
    path = tmp_path / "grades/math500/qwen.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"problem_id": ["a"]}), path)
    with pytest.raises(UserError, match=r"grades/math500/qwen\.parquet does not say what it holds"):
        read_places([path], ["policy"])


def test_rows_of_some_problems_are_read_as_all_are(tmp_path):
    place = {"dataset": "math500", "policy": "qwen", "block": "0-4", "shard": "1-of-1"}
    path = Path(Layout(str(tmp_path / "a=b")).path("generations", **place))
    rows = pd.DataFrame({"problem_id": list("abc") * 3, "sample": range(9), "text": "x" * 50})
    write_parquet(rows, path)
    found = read_parquet(path, filters=[("problem_id", "in", ["c", "a"])])
    expected = read_parquet(path)
    expected = expected[expected["problem_id"] != "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected)
    assert len(read_parquet(path, columns=["sample"], filters=[("problem_id", "==", "b")])) == 3


@pytest.mark.parametrize("filters", [None, [("problem_id", "in", ["a"])]])
def test_a_file_that_lacks_bytes_or_has_wrong_ones_is_named(tmp_path, filters):
    path = tmp_path / "grades/math500/qwen.parquet"
    with pytest.raises(UserError, match=r"no such file: .*grades/math500/qwen\.parquet"):
        read_parquet(path, filters=filters)
    write_parquet(pd.DataFrame({"problem_id": list("ab") * 500, "path": range(1000)}), path)
    whole = path.read_bytes()
    for broken in (
        whole[: len(whole) // 2],
        whole[:60] + bytes([whole[60] ^ 1]) + whole[61:],
        whole[:6] + bytes([whole[6] ^ 255]) + whole[7:],  # of which Arrow says three lines
    ):
        path.write_bytes(broken)
        with pytest.raises(UserError, match=r"qwen\.parquet is not a whole Parquet file") as found:
            read_parquet(path, filters=filters)
        assert "\n" not in str(found.value)


def folders() -> set[str]:
    """The folders below a study's results, without their slashes."""
    return {pattern.partition("/")[0] for pattern in PATTERNS.values() if "/" in pattern}


def code_of(path: Path) -> str:
    """A program's text; of a notebook that of its cells."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return "\n".join(code) + "\n"


def literals(text: str) -> Iterator[str]:
    """The string literals of a program as they are written, docstrings left out."""
    spaces = (tokenize.INDENT, tokenize.DEDENT, tokenize.NL, tokenize.COMMENT)
    docstring = True  # what a string would be that comes next
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None)):
            if not docstring:
                yield token.string
        elif token.type not in spaces:
            docstring = token.type == tokenize.NEWLINE


# Of the checkout, which has folders of the same names: programs and notebooks by their place there.
OF_THE_CHECKOUT = re.compile(r"workflow/(testtime|scripts)/|(\.\./\.\./)?notebooks/\w+\.ipynb")


def paths_by_hand(text: str) -> list[str]:
    """Literals that hold a folder of the results and a slash."""
    below = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, folders()))})/")
    found = [literal for literal in literals(text) if below.search(literal)]
    return [literal for literal in found if not OF_THE_CHECKOUT.match(literal.lstrip("f\"'"))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('path = f"{results}/grades/{name}.csv"', ["/grades/"]),
        ("path = results / 'tables/x.csv'", ["tables/x.csv"]),
        ('call(\n    "logs/a",\n    "a",\n)', ["logs/a"]),
        ('"""Reads `tables/x.csv`."""\n', []),
        ('def f():\n    """Reads `tables/x.csv`."""\n    return 1\n', []),
        ('code("notebooks/published.ipynb", "workflow/testtime/present/tables/x.py")', []),
        ('link = "https://example.org/my-models/x"', []),
    ],
)
def test_a_path_that_is_written_by_hand_is_seen(text, found):
    literals = paths_by_hand(text)
    assert len(literals) == len(found)
    assert all(part in literal for part, literal in zip(found, literals, strict=True))


def test_paths_below_the_results_are_written_by_the_layout_alone(root):
    owner = root / "workflow/testtime/study/layout.py"
    programs = [path for path in (root / "workflow/testtime").rglob("*.py") if path != owner]
    programs += (root / "workflow/scripts").glob("*.py")
    programs += (root / "workflow/rules").glob("*.smk")
    programs += [root / "Snakefile", *(root / "notebooks").glob("*.ipynb")]
    found = {str(path.relative_to(root)): paths_by_hand(code_of(path)) for path in programs}
    assert {name: literals for name, literals in found.items() if literals} == {}


def room_of(module: str) -> int | None:
    """The place of a module's room among the rooms; None for the package itself."""
    _, _, name = module.partition(".")
    name = name.partition(".")[0]
    places = [i for i, room in enumerate(ROOMS) if name in ((room,) if room is str(room) else room)]
    return places[0] if places else None


def test_a_room_imports_from_those_above_it_alone():
    package = WORKFLOW / "testtime"
    for path in package.rglob("*.py"):
        if path.parent == package and path.stem == "__init__":
            continue
        name = ".".join(path.relative_to(WORKFLOW).with_suffix("").parts)
        own = room_of(name)
        assert own is not None, f"{name} is in none of the rooms"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("testtime"):
                parts = (
                    [node.module]
                    if "." in node.module
                    else [f"testtime.{alias.name}" for alias in node.names]
                )
                for part in parts:
                    room = room_of(part)
                    assert room is not None, (name, part)
                    assert room <= own, f"{name} imports {part}, which is below it"
