"""Pruned candidates as rows: every path of a policy has a number of its own."""

import pandas as pd
import pytest
from testtime.data.samples import read_searches, read_texts
from testtime.data.store import write_parquet

KEYS = ["method", "prm", "budget", "problem_id", "path"]


def write(folder, name, rows):
    columns = ["problem_id", "subtree", "path", "kept", "text"]
    path = folder / f"{name}.parquet"
    write_parquet(pd.DataFrame(rows, columns=columns), path)
    return str(path)


@pytest.fixture
def files(tmp_path):
    """Two blocks of a nested search, of which the later one comes first, and a beam search."""
    at = "searches/d/p/good"
    return [
        write(
            tmp_path, f"{at}/dvts/4-8/1-of-1", [("a", 1, 0, True, "k1"), ("a", 1, 1, False, "x")]
        ),
        write(
            tmp_path,
            f"{at}/dvts/0-4/1-of-1",
            [
                ("a", 0, 0, True, "k0"),
                ("a", 0, 1, False, "y"),
                ("a", 0, 2, False, "z"),
                ("b", 0, 0, True, "b0"),
            ],
        ),
        write(
            tmp_path,
            f"{at}/beam_search/8/1-of-1",
            [
                ("a", 0, 0, True, "first"),
                ("a", 0, 1, False, "pruned"),
                ("a", 1, 0, True, "second"),
            ],
        ),
    ]


def test_kept_paths_of_a_nested_search_go_by_their_subtree_and_pruned_ones_from_there_on(files):
    rows = read_searches(files).set_index("text")["path"]
    assert rows[["k0", "k1", "b0"]].tolist() == [0, 1, 0]
    assert rows[["y", "z", "x"]].tolist() == [2, 3, 4]
    assert rows[["first", "pruned", "second"]].tolist() == [0, 1, 2]


def test_the_order_of_files_does_not_number_them(files):
    one, other = (read_searches(f).sort_values("text") for f in (files, files[::-1]))
    assert one["path"].tolist() == other["path"].tolist()


def test_grading_takes_each_once_under_the_same_number(files, tmp_path):
    sampled = pd.DataFrame({"problem_id": ["a"], "sample": [0], "text": ["drawn"]})
    write_parquet(sampled, tmp_path / "generations/d/p/cot/1-of-1.parquet")
    texts = read_texts([tmp_path / "generations/d/p/cot/1-of-1.parquet"], files)
    assert len(texts) == 1 + 9
    assert not texts.duplicated(KEYS).any()
    found = texts[texts["method"] != "cot"].set_index(KEYS)["text"].sort_index()
    assert found.equals(read_searches(files).set_index(KEYS)["text"].sort_index())
