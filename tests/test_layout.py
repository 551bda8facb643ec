"""Every path of a results folder has one owner, and every file says what it holds."""

import ast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from testtime.data.store import read_places, write_parquet
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
ROOMS += (("search", "sample", "score"), "evaluate", "fit", "compare", "present", "solve", "cli")


@pytest.mark.parametrize("kind", PATTERNS)
@pytest.mark.parametrize("results", ["results", "/data/studies/grades", "problems/generations"])
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
    assert set(STAGE_OF) | {"outcomes", "table", "lookup", "log", "benchmark"} == set(PATTERNS)
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
