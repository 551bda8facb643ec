"""Rows and records in object stores: in memory, and in S3 as moto imitates it."""

import signal
import subprocess
import sys
import time
import uuid

import pandas as pd
import pytest
from object_store import BUCKET, kept, object_store
from testtime.data import places, sweep
from testtime.data.decided import Cell, record
from testtime.data.rows import Objects, open_rows
from testtime.data.store import read_json, write_parquet
from testtime.errors import UserError
from testtime.runtime.lock import LOCK, RUN, hold
from testtime.study.config import read, validate
from testtime.study.layout import results_of, stored_at
from testtime.study.study import Study

CELL = "generate/microcosm/micro-s"
WRITER = """
import sys, time
from testtime.data.rows import open_rows
with open_rows(sys.argv[1], ()) as rows:
    rows.add("a", {0: "kept"})
    print(1, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def s3():
    with object_store() as environment:
        yield environment


@pytest.fixture(params=["memory", "s3"])
def store(request, monkeypatch):
    """The URL of an empty place."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    for name, value in request.getfixturevalue("s3").items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def keep(url, *added):
    with open_rows(url, ()) as rows:
        for stamp, own in added:
            rows.add(stamp, own)


def study_with(**changes):
    config = read() | {"policies": ["micro-s"], "prms": ["micro-prm-good"]} | changes
    return Study(config, validate(config))


def test_rows_of_several_jobs_are_found_together(store):
    with open_rows(store, ()) as one, open_rows(store, ()) as other:
        one.add("a", {0: {"text": "ки\n"}})
        other.add("a", {1: {"seed": 2**62 + 1}})
        other.add("b", {"x": [0.1]})
    assert len(places.find(store, "")) == 2
    with open_rows(store, {"a"}) as rows:
        assert rows.of("a") == {0: {"text": "ки\n"}, 1: {"seed": 2**62 + 1}}
        assert rows.of("b") == {}


def test_what_others_write_is_seen_at_once(store):
    for number in range(3):
        keep(store, ("a", {number: number}))
        with open_rows(store, {"a"}) as rows:
            assert len(rows.of("a")) == number + 1


def test_a_job_that_adds_nothing_leaves_no_object(store):
    keep(store)
    assert places.find(store, "") == {}


def test_rows_wait_for_others_and_then_are_written_together(store):
    waiting, prompt = Objects(store, seconds=3600), Objects(store, seconds=0.01)
    for part in (b"1", b"2"):
        waiting.write(part)
    assert places.find(store, "") == {}
    prompt.write(b"3")
    while not places.find(store, ""):
        time.sleep(0.01)
    waiting.close()
    contents = {places.read(f"{store}/{name}") for name in places.find(store, "")}
    assert contents == {b"12", b"3"}


@pytest.mark.parametrize(("number", "left"), [(signal.SIGTERM, 1), (signal.SIGKILL, 0)])
def test_a_job_that_is_told_to_end_keeps_its_rows(s3, monkeypatch, number, left):
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    url = f"s3://{BUCKET}/{number}"
    command = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        writer.send_signal(number)
    assert writer.returncode == {signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert kept(url).total() == left


def test_the_place_that_cannot_be_reached_is_named(monkeypatch):
    with pytest.raises(UserError, match="nowhere://rows: Protocol not known: nowhere"):
        places.check("nowhere://rows")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UserError, match=r"gs://rows: .*gcsfs"):
        places.check("gs://rows")
    places.check(None)
    places.check("a/folder")


def test_a_bucket_that_is_not_there_is_named(s3, monkeypatch):
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="cannot reach s3://nobucket/rows: no such bucket"):
        keep("s3://nobucket/rows", ("a", {0: 1}))


def test_rows_that_no_study_needs_are_swept_out(store):
    keep(f"{store}/{CELL}", ("a", {0: "needed"}), ("b", {0: "not needed"}))
    keep(f"{store}/{CELL}", ("b", {1: "not needed"}))
    study = study_with(store=store)
    (held,) = sweep.held(study, {CELL: {"a"}})
    assert (held.stage, held.cell) == tuple(CELL.split("/", 1))
    assert 0.5 < held.unneeded < 1
    before = sum(places.find(store, "").values())
    freed = sweep.sweep(study, {CELL: {"a"}})
    assert before - freed == sum(places.find(store, "").values())
    assert kept(store) == {(CELL, "a", 0): 1}


def test_the_rows_of_a_study_may_be_elsewhere_than_its_results(tmp_path):
    def place(**changes):
        return Cell(study_with(**changes), "generate", "microcosm", "micro-s").store

    assert place(results="r") == f"r/store/{CELL}"
    assert place(results="r", store=str(tmp_path)) == f"{tmp_path}/{CELL}"
    assert place(store="s3://bucket/rows") == f"s3://bucket/rows/{CELL}"


def test_records_are_written_where_results_are_and_only_where_they_change(store, monkeypatch):
    study = study_with(results=f"{store}/results")
    record(study)
    records = places.find(store, ".json")
    assert f"results/decided/{CELL}.json" in records
    monkeypatch.setattr("testtime.data.decided.write_json", lambda *_: pytest.fail("written"))
    record(study)


def test_a_stored_file_of_other_settings_is_told(store, tmp_path):
    study = study_with(results=f"{store}/results")
    record(study)
    cell = Cell(study, "problems", "microcosm")
    assert read_json(cell.record)["replaced"] == 0
    for stamp, replaced in ((cell.stamp, 0), ("another", 1)):
        write_parquet(pd.DataFrame({"x": [1]}), tmp_path / "file.parquet", stamp)
        place = study.layout.path("problems", dataset="microcosm")
        places.put((tmp_path / "file.parquet").read_bytes(), place)
        record(study)
        assert read_json(cell.record)["replaced"] == replaced
    places.put(b"PAR1, cut short", place)
    record(study)
    assert read_json(cell.record)["replaced"] == 2


def test_a_results_folder_has_its_place_in_a_storage():
    assert stored_at("s3://bucket/study/", "results") == "s3://bucket/study/results"
    assert stored_at("/shared", "./a/b") == "/shared/a/b"
    for folder in ("/results", "../results"):
        with pytest.raises(UserError, match=f"config results: {folder} has no place in .*s3://b"):
            stored_at("s3://b", folder)


def test_a_job_finds_its_results_folder_from_one_of_its_files():
    for folder in ("results", "/data/grades", ".snakemake/storage/s3/bucket/study/results"):
        assert results_of(f"{folder}/grades/d/p.parquet") == folder
        assert results_of(f"{folder}/report.html") == folder
    assert results_of("grades/d/p.parquet") == "."


def test_a_running_study_keeps_its_records_in_a_storage(store, tmp_path, monkeypatch):
    for name in (RUN, LOCK):  # what `hold` leaves behind
        monkeypatch.setenv(name, "")
    results = f"{store}/results"
    record(study_with(results=results))
    hold(tmp_path)
    with pytest.raises(UserError, match="a run with other settings is writing"):
        record(study_with(results=results, seed=7), locked=str(tmp_path))


def test_a_sweep_leaves_alone_what_is_not_of_the_store(store):
    place = f"{store}/sub/samples.jsonl.gz"
    places.put(b"imported", place)
    study = study_with(store=f"{store}/")
    assert sweep.sweep(study, {}) == 0
    assert places.read(place) == b"imported"
