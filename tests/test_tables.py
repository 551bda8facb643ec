import pandas as pd
import pytest
from testtime.data.store import (
    atomic,
    atomic_folder,
    read_jsonl,
    read_parquet,
    write_csv,
    write_parquet,
)
from testtime.errors import UserError


def fail_halfway(path):
    path.write_text("half")
    raise OSError("disk")


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(UserError, match=r"cannot write .*disk"), atomic(target) as temporary:
        fail_halfway(temporary)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_equal_rows_give_equal_bytes(tmp_path):
    rows = pd.DataFrame({"x": [1, 2], "steps": [["a"], []]})
    write_parquet(rows, tmp_path / "a.parquet")
    write_parquet(rows.copy(), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_parquet_keeps_lists_and_stacks_files(tmp_path):
    write_parquet(pd.DataFrame({"x": [1], "steps": [["a", "b"]]}), tmp_path / "a.parquet")
    write_parquet(pd.DataFrame({"x": [2], "steps": [["c"]]}), tmp_path / "b.parquet")
    rows = read_parquet(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert rows["x"].tolist() == [1, 2]
    assert [list(s) for s in rows["steps"]] == [["a", "b"], ["c"]]


def test_a_half_written_parquet_file_is_named(tmp_path):
    path = tmp_path / "half.parquet"
    write_parquet(pd.DataFrame({"x": range(100)}), path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"half\.parquet"):
        read_parquet(path)


def test_a_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "flipped.parquet"
    write_parquet(pd.DataFrame({"x": range(5000)}), path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"flipped\.parquet .*delete it and run again"):
        read_parquet(path)


def test_of_two_writers_the_last_leaves_a_whole_file(tmp_path):
    target = tmp_path / "a.txt"
    with atomic(target) as first, atomic(target) as second:
        first.write_text("one\n" * 1000)
        second.write_text("two\n")
        first.open("a").write("one\n")
    assert target.read_text() == "one\n" * 1001
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_one_and_no_litter(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(UserError, match=r"cannot write .*disk"), atomic_folder(target) as new:
        fail_halfway(new / "weights")
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    target = tmp_path / "model"
    for name in ("first", "second"):
        with atomic_folder(target) as new:
            (new / name).touch()
    assert [path.name for path in target.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [target]


def test_csv_has_six_digits(tmp_path):
    write_csv(pd.DataFrame({"x": [1 / 3]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "x\n0.333333\n"


def test_a_bad_json_line_is_named_by_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(UserError, match="line 3"):
        list(read_jsonl(path))


def test_a_json_line_that_is_no_object_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("[1]\n")
    with pytest.raises(UserError, match="line 1: expected an object"):
        list(read_jsonl(path))
