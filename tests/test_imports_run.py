"""One job imports a file of samples: all blocks and scores, and what is wrong with it once."""

import json

import pytest
from small_study import SmallStudy
from testtime.data.store import read_parquet

N = 16
PROBLEMS = [{"problem_id": f"p{i}", "problem": f"{i}?", "answer": str(i)} for i in range(3)]


def rows():
    """Rows that differ in every column, so that each shows where it went."""
    for problem in PROBLEMS:
        for sample in range(N):
            yield {
                "problem_id": problem["problem_id"],
                "sample": sample,
                "completion": f"A.\n\n\\boxed{{{sample}}}",
                "scores": {prm: [0.5, sample / at] for prm, at in (("one", 20), ("two", 40))},
            }


@pytest.fixture
def study(tmp_path):
    """A study of one file, not yet written, with two PRMs' scores."""
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PROBLEMS))
    prm = {"in_samples": True, "parameters": 1e9}
    return SmallStudy(
        tmp_path,
        {
            "datasets": ["own"],
            "policies": ["given"],
            "prms": ["one", "two"],
            "methods": ["majority", "best_of_n"],
            "budgets": {"pool": [2, 8], "search": []},
            "difficulty": {"samples": 4},
            "fit": {"folds": 3},
            "catalog": {
                "datasets": {"own": {"source": "file", "path": "own.jsonl", "size": 3}},
                "policies": {"given": {"samples": "given.jsonl", "parameters": 1e9}},
                "prms": {"one": prm, "two": prm},
            },
        },
    )


def write(study, rows):
    (study.folder / "given.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_wrong_row_is_said_once_for_all_blocks_and_scores(study):
    wrong = [row | {"sample": "first"} if n == 4 else row for n, row in enumerate(rows())]
    write(study, wrong)
    done = study.try_run("--keep-going", "results/outcomes/own/given.parquet")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert said.count("line 5: sample 'first' is not a whole number") == 1


def test_every_file_has_its_own_rows_and_another_budget_keeps_those_that_are_there(study):
    write(study, rows())
    grades, before = "results/grades/own/given.parquet", {}
    for pool, blocks in (([2, 8], ["0-2", "2-8"]), ([2, 8, 12], ["0-2", "2-8", "8-12"])):
        study.change({"budgets": {"pool": pool}})
        scores = [f"results/scores/own/given/one/{blocks[-1]}/1-of-1.parquet"]
        assert study.run(grades, *scores).count("Imported samples of given on own") == 1
        for block in blocks:
            start, stop = map(int, block.split("-"))
            for prm, at in (("one", 20), ("two", 40)):
                place = f"own/given/{prm}/{block}/1-of-1.parquet"
                scored = read_parquet(study.results / "scores" / place)
                assert scored["scores"].map(lambda s: round(s[1], 9)).tolist() == [
                    round(sample / at, 9) for sample in range(start, stop)
                ] * len(PROBLEMS)
            path = study.results / f"generations/own/given/{block}/1-of-1.parquet"
            drawn = read_parquet(path)
            assert drawn["sample"].tolist() == list(range(start, stop)) * len(PROBLEMS)
            assert drawn["text"].tolist() == [
                f"A.\n\n\\boxed{{{sample}}}" for sample in range(start, stop)
            ] * len(PROBLEMS)
            assert before.setdefault(block, path.read_bytes()) == path.read_bytes()
        held_out = study.results / "generations/own/given/difficulty/1-of-1.parquet"
        assert read_parquet(held_out)["text"].tolist() == [
            f"A.\n\n\\boxed{{{sample}}}" for sample in range(pool[-1], pool[-1] + 4)
        ] * len(PROBLEMS)
