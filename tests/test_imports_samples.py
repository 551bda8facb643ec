"""Samples that were made elsewhere: what is read, and what is refused."""

import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from testtime.data.imports import import_samples, import_scores, select_block
from testtime.data.store import read_parquet, write_parquet
from testtime.errors import UserError
from testtime.sample import COLUMNS

IDS = ["p/0", "p/1"]
ROWS = [
    {
        "problem_id": problem,
        "sample": i,
        "completion": f"First {i}.\n\nSo \\boxed{{{i}}}.",
        "token_count": 10 + i,
        "scores": {"good": [0.5, 0.25 * i]},
    }
    for problem in IDS
    for i in range(3)
]


def write(tmp_path, rows, name="samples.jsonl"):
    path = tmp_path / name
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def change(index, **changes):
    rows = [dict(row) for row in ROWS]
    rows[index] |= changes
    return rows


def test_completions_are_split_into_steps_and_keep_their_token_counts(tmp_path):
    rows = import_samples(write(tmp_path, ROWS), IDS)
    assert list(rows.columns) == list(COLUMNS)
    assert rows[["problem_id", "sample"]].to_numpy().tolist() == [
        [problem, i] for problem in IDS for i in range(3)
    ]
    assert rows.loc[1, "text"] == "First 1.\n\nSo \\boxed{1}."
    assert rows.loc[1, "steps"] == ["First 1.", "So \\boxed{1}."]
    assert rows["tokens"].to_list() == [10, 11, 12] * 2
    assert rows["logprob"].isna().all()


def test_all_kinds_of_file_say_the_same(tmp_path):
    expected = import_samples(write(tmp_path, ROWS), IDS)
    packed = import_samples(write(tmp_path, ROWS, "samples.jsonl.gz"), IDS)
    pd.testing.assert_frame_equal(expected, packed)
    table = pa.Table.from_pylist(ROWS)
    write_parquet(table, tmp_path / "samples.parquet")
    pd.testing.assert_frame_equal(expected, import_samples(tmp_path / "samples.parquet", IDS))
    scores = pa.array(
        [list(row["scores"].items()) for row in ROWS], pa.map_(pa.string(), pa.list_(pa.float64()))
    )
    mapped = table.drop_columns("scores").append_column("scores", scores)
    write_parquet(mapped, tmp_path / "mapped.parquet")
    found = import_scores(tmp_path / "mapped.parquet", IDS, "good")
    assert found["scores"].to_list() == [row["scores"]["good"] for row in ROWS]


def test_bare_answers_stand_as_the_end_of_a_solution(tmp_path):
    answers = ["\\frac{1}{2}", 42, "", None, "{broken", 0.5]
    rows = [
        {"problem_id": "p/0", "sample": i, "answer": answer} for i, answer in enumerate(answers)
    ]
    found = import_samples(write(tmp_path, rows), ["p/0"])
    assert found["text"].to_list() == [
        "\\boxed{\\frac{1}{2}}", "\\boxed{42}", "", "", "{broken", "\\boxed{0.5}",
    ]  # fmt: skip
    assert found["tokens"].isna().all()
    assert found["steps"].to_list() == [[]] * 6


def test_samples_are_renumbered_in_their_order(tmp_path):
    rows = [row | {"sample": 100 - 7 * row["sample"]} for row in ROWS]
    found = import_samples(write(tmp_path, rows), IDS)
    assert found["sample"].to_list() == [0, 1, 2] * 2
    assert found["tokens"].to_list() == [12, 11, 10] * 2


def test_it_survives_a_parquet_file(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "token_count"} for row in ROWS]
    write_parquet(import_samples(write(tmp_path, rows), IDS), tmp_path / "block.parquet")
    back = read_parquet(tmp_path / "block.parquet")
    assert back["tokens"].isna().all()
    assert back["text"].to_list() == [row["completion"] for row in ROWS]


def test_step_scores_come_per_prm(tmp_path):
    found = import_scores(write(tmp_path, ROWS), IDS, "good")
    assert found["scores"].to_list() == [[0.5, 0.0], [0.5, 0.25], [0.5, 0.5]] * 2
    assert found["prm_tokens"].isna().all()
    with pytest.raises(
        UserError, match=r"line 1: no step scores of 'other', each between 0 and 1; allowed"
    ):
        import_scores(write(tmp_path, ROWS), IDS, "other")
    with pytest.raises(UserError, match="line 2: no step scores of 'good'"):
        import_scores(write(tmp_path, change(1, scores={"good": [0.5, "x"]})), IDS, "good")
    with pytest.raises(UserError, match="line 3: no step scores of 'good'"):
        import_scores(write(tmp_path, change(2, scores={"good": [0.5, 1.5]})), IDS, "good")
    with pytest.raises(UserError, match="line 1: no step scores of 'good'"):
        import_scores(write(tmp_path, change(0, scores={"good": 0.5})), IDS, "good")


def test_more_scores_than_steps_are_refused_and_fewer_are_gaps(tmp_path):
    steps = len(import_samples(write(tmp_path, ROWS), IDS)["steps"][0])
    many = change(0, scores={"good": [0.5] * (steps + 1)})
    with pytest.raises(UserError, match=f"line 1: {steps + 1} step scores of 'good' for {steps} "):
        import_scores(write(tmp_path, many), IDS, "good")
    few = change(0, scores={"good": [0.5]})
    assert import_scores(write(tmp_path, few), IDS, "good")["scores"][0] == [0.5]
    with pytest.raises(UserError, match="which ' and ' divides"):  # another division, one step
        import_scores(write(tmp_path, ROWS), IDS, "good", separator=" and ")


def test_blocks_share_out_the_samples_and_the_held_out_ones_follow(tmp_path):
    rows = import_samples(write(tmp_path, ROWS), IDS)
    first = select_block(rows, "0-1", pool=2, held_out=1)
    second = select_block(rows, "1-2", pool=2, held_out=1)
    held_out = select_block(rows, "difficulty", pool=2, held_out=1)
    assert first["tokens"].to_list() == [10, 10]
    assert second["sample"].to_list() == [1, 1]
    assert held_out["tokens"].to_list() == [12, 12]
    assert held_out["sample"].to_list() == [0, 0]
    with pytest.raises(UserError, match=r"samples up to 4 of each problem are needed .* has 3"):
        select_block(rows, "difficulty", pool=2, held_out=2)
    chains = select_block(rows, "cot", pool=2, held_out=1, chains=2)
    assert chains["sample"].to_list() == [0, 1, 0, 1]


def test_a_part_of_the_dataset_leaves_other_rows_out(tmp_path):
    path = write(tmp_path, ROWS)
    assert set(import_samples(path, ["p/1"], part=True)["problem_id"]) == {"p/1"}
    with pytest.raises(UserError, match="line 1: problem_id 'p/0' is not in the dataset"):
        import_samples(path, ["p/1"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (change(2, problem_id=None), r"samples.jsonl, line 3: no 'problem_id'; allowed columns"),
        (change(0, sample="first"), r"line 1: sample 'first' is not a whole number; allowed: 0"),
        (change(0, sample=10**400), r"line 1: sample 1000+ is not a whole number; .* up to 9007"),
        (change(1, completion=["a", "b"]), r"line 2: completion is \['a', 'b'\]; allowed: a text"),
        (change(1, completion="a\ud800b"), r"line 2: completion has half of a character"),
        (change(4, token_count=-3), r"line 5: token_count -3 is negative"),
        (change(4, token_count=1.5), r"line 5: token_count 1.5 is not a whole number"),
        (change(1, sample=0), r"line 2: sample 0 of p/0 is given twice"),
        (ROWS[:-1], r"problem p/[01] has [23] samples, most have [23]; allowed: the same number"),
        (ROWS[:3], r"no samples of problem p/1 \(1 are missing\)"),
        ([{"problem_id": "p/0", "sample": 0}], r"line 1: no 'completion'; allowed: every row"),
        ([ROWS[0], {"problem_id": "p/0", "sample": 1, "answer": "2"}], r"line 2: no 'completion'"),
        ([], r"no samples of the dataset's problems"),
    ],
)
def test_wrong_files_are_refused_by_line(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        import_samples(write(tmp_path, rows), IDS)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        import_samples(tmp_path / "absent.jsonl", IDS)
    with pytest.raises(UserError, match=r"unknown kind of file; allowed: .jsonl, .jsonl.gz"):
        import_samples(write(tmp_path, ROWS, "samples.csv"), IDS)
    (tmp_path / "text.jsonl").write_text("{'problem_id': 1}\n")
    with pytest.raises(UserError, match="line 1: not JSON"):
        import_samples(tmp_path / "text.jsonl", IDS)
    (tmp_path / "plain.jsonl.gz").write_text("not packed")
    with pytest.raises(UserError, match="not a whole gzip file"):
        import_samples(tmp_path / "plain.jsonl.gz", IDS)


@pytest.mark.parametrize(
    ("name", "samples"), [("llama-3.2-1b-instruct", 12), ("phi-4-reasoning", 80)]
)
def test_real_pools_are_read(shared_data, name, samples):
    with open(shared_data / "problems" / "math500.jsonl") as lines:
        ids = [json.loads(line)["problem_id"] for line in lines]
    rows = import_samples(shared_data / "pools" / f"math500_{name}.jsonl.gz", ids)
    assert rows.groupby("problem_id").size().eq(samples).all()
    assert rows["problem_id"].nunique() == 500
    if name.startswith("phi"):
        # Two kinds of "no answer" stand in this file: an empty string and a null.
        assert rows["text"].eq("").sum() == 1258
        assert np.median(rows["tokens"].astype(float)) > 100
    else:
        assert rows["steps"].map(len).mean() > 2
