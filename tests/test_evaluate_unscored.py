"""Steps beyond a PRM's context are counted in a table."""

import pandas as pd
from testtime.data.store import write_parquet
from testtime.evaluate.scoring import path_scores
from testtime.evaluate.tables import unscored_table


def write(folder, name, **columns):
    path = folder / f"{name}.parquet"
    write_parquet(pd.DataFrame(columns), path)
    return str(path)


def test_every_prm_and_method_has_its_count(tmp_path):
    steps = [["a", "b", "c"], ["a"], [], ["a", "b"]]
    generations = [
        write(tmp_path, "generations/d/p/0-4/1-of-2", steps=steps),
        write(tmp_path, "generations/d/p/0-4/2-of-2", steps=[["a"]]),
    ]
    scores = [
        write(tmp_path, "scores/d/p/short/0-4/1-of-2", scores=[[0.5], [0.5], [], []]),
        write(tmp_path, "scores/d/p/short/0-4/2-of-2", scores=[[0.5]]),
        write(
            tmp_path,
            "scores/d/p/long/0-4/1-of-2",
            scores=[[0.5] * len(own) for own in steps],
            prm_tokens=[4097, 4096, 0, 5000],
        ),
        write(tmp_path, "scores/d/p/long/0-4/2-of-2", scores=[[0.5]], prm_tokens=[9]),
    ]
    found = [
        write(
            tmp_path,
            "searches/d/p/short/dvts/0-4/1-of-1",
            steps=[["a", "b"]],
            scores=[[0.5]],
            kept=[True],
        ),
        write(
            tmp_path,
            "searches/d/p/long/dvts/0-4/1-of-1",
            steps=[["a", "b"], ["a"], []],
            scores=[[0.5, 0.5], [0.5], [0.5]],
            read_tokens=[4097, 4096, 5000],
            kept=[True, True, False],  # what was pruned is no path
        ),
    ]
    trained = {"short": None, "long": 4096}
    table = unscored_table(generations, scores, found, trained).set_index(["prm", "method"])
    columns = ["paths", "cut_paths", "unread_paths", "untrained_paths", "steps", "unscored_steps"]
    assert table[columns].T.to_dict("list") == {
        ("long", "best_of_n"): [5, 0, 0, 2, 7, 0],
        ("long", "dvts"): [2, 0, 0, 1, 3, 0],
        ("short", "best_of_n"): [5, 2, 1, 0, 7, 4],
        ("short", "dvts"): [1, 1, 0, 0, 2, 1],
    }


def test_a_path_is_scored_by_the_steps_that_were_read_and_0_without_any():
    # Three steps were written; the PRM could read two of them, or none.
    scores = path_scores([[0.9, 0.5], []], ["min", "last", "avg"])
    assert scores.tolist() == [[0.5, 0.5, 0.7], [0.0, 0.0, 0.0]]
