"""Tables and JSON of a results folder are read as they were written, or refused by name."""

from pathlib import Path

import pandas as pd
import pytest
from synthetic_results import results
from testtime.data.store import read_csv, read_json, write_csv, write_json, write_parquet
from testtime.errors import UserError
from testtime.fit.lookup import load
from testtime.present.report.page import embed
from testtime.present.tables import lookup
from testtime.runtime.lock import LOCK, RUN, RunOverError, hold
from testtime.study.layout import PATTERNS, STORED, SUMMED, Layout, names_in

ROWS = pd.DataFrame({"policy": ["a", "b"] * 50, "accuracy": [0.25, 0.5] * 50})
WRITERS = {".csv": (write_csv, read_csv, ROWS), ".json": (write_json, read_json, {"a": [1] * 50})}


def halve(path: Path) -> None:
    """Cut a file at the end of a line, so that it still looks whole."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))


def edit(path: Path) -> None:
    """Change a digit, as a person might."""
    path.write_bytes(path.read_bytes().replace(b"1", b"2").replace(b"0.25", b"0.35"))


def save_elsewhere(path: Path) -> None:
    """Write the same values with other ends of lines, as a spreadsheet does."""
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


@pytest.fixture(params=SUMMED)
def written(request, tmp_path):
    """A file of each kind that has a digest, and its reader."""
    kind = request.param
    names = dict.fromkeys(names_in(kind), "x")
    path = Path(Layout(str(tmp_path)).path(kind, **names))
    write, read, value = WRITERS[path.suffix]
    write(value, path)
    return path, read


@pytest.mark.parametrize("spoil", [halve, edit, save_elsewhere])
def test_a_spoiled_file_is_refused_by_name_and_comes_back_whole(written, spoil):
    path, read = written
    whole = path.read_bytes()
    read(path)
    spoil(path)
    with pytest.raises(UserError, match=rf"{path.name} is not as it was written .*; delete it and"):
        read(path)
    path.unlink()
    with pytest.raises(UserError, match="no such file"):
        read(path)
    write, _, value = WRITERS[path.suffix]
    write(value, path)
    assert path.read_bytes() == whole
    read(path)


def test_a_writer_that_is_killed_before_it_leaves_the_digest_spoils_nothing(tmp_path, monkeypatch):
    path = tmp_path / "tables/t.csv"
    write_csv(ROWS, path)
    replace = Path.replace

    def killed_after(self, target):
        replace(self, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed_after)
    with pytest.raises(KeyboardInterrupt):
        write_csv(ROWS.head(3), path)
    assert len(read_csv(path)) == 3


def test_files_of_elsewhere_have_no_digest_and_are_read(tmp_path):
    write_csv(ROWS, tmp_path / "results/tables/t.csv")
    moved = tmp_path / "moved/tables/t.csv"
    moved.parent.mkdir(parents=True)
    (tmp_path / "results/tables/t.csv").rename(moved)
    edit(moved)
    assert read_csv(moved)["accuracy"].max() == 0.5
    write_csv(ROWS, tmp_path / "own.csv")
    assert {path.name for path in tmp_path.iterdir()} == {"results", "moved", "own.csv"}


def test_a_copy_of_a_remote_file_may_be_another_machines(tmp_path, monkeypatch):
    monkeypatch.setenv(STORED, "1")
    path = tmp_path / "scratch/s3/bucket/results/tables/t.csv"
    write_csv(ROWS, path)
    edit(path)
    assert len(read_csv(path)) == len(ROWS)


@pytest.mark.parametrize("text", [b'"a', b"a\n\xff\n", b'a,b\n1,"2\n'])
def test_a_table_without_digest_that_cannot_be_parsed_is_named_in_one_line(tmp_path, text):
    path = tmp_path / "tables/t.csv"
    path.parent.mkdir()
    path.write_bytes(text)
    with pytest.raises(UserError, match=r"t\.csv is not a whole table \(.*\); delete it") as found:
        read_csv(path)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("read", [read_csv, read_json])
def test_what_cannot_be_read_is_named(tmp_path, read):
    with pytest.raises(UserError, match=f"cannot read {tmp_path}: Is a directory"):
        read(tmp_path)


def test_those_who_read_them_name_them(tmp_path):
    folder = results(tmp_path)
    table = folder / "tables/accuracy.csv"
    halve(table)
    with pytest.raises(UserError, match=r"tables/accuracy\.csv is not as it was written"):
        embed(table)
    halve(folder / "lookup.json")
    with pytest.raises(UserError, match=r"lookup\.json is not as it was written"):
        load(folder / "lookup.json")


@pytest.mark.parametrize("keep_digest", [True, False])
def test_halved_predictors_are_named_by_the_job_that_makes_the_lookup(tmp_path, keep_digest):
    path = tmp_path / PATTERNS["predictors"].format(dataset="d", policy="p")
    write_json([{"policy": "p"}], path)
    halve(path)
    if not keep_digest:
        path = path.rename(tmp_path / "p.json")
    tables = {}
    for kind in ("outcomes", "difficulty", "predictions"):
        tables[kind] = [tmp_path / PATTERNS[kind].format(dataset="d", policy="p")]
        write_parquet(pd.DataFrame({"problem_id": ["a"]}), *tables[kind])
    with pytest.raises(UserError, match=r"p\.json is not .*; delete it and run again"):
        lookup.make(tables | {"predictors": [path]}, {})


def test_a_job_of_an_earlier_run_leaves_the_digest_of_the_new_ones_table(tmp_path, monkeypatch):
    for name in (RUN, LOCK):  # what `hold` leaves behind
        monkeypatch.setenv(name, "")
    path = tmp_path / "tables/t.csv"
    hold(tmp_path)
    write_csv(ROWS, path)
    monkeypatch.setenv(RUN, "a run that was killed")
    with pytest.raises(RunOverError):
        write_csv(ROWS, path)
    edit(path)
    with pytest.raises(UserError, match="not as it was written"):
        read_csv(path)
