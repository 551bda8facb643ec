from collections import Counter

import numpy as np
import pandas as pd
import pytest
from testtime.errors import UserError
from testtime.evaluate.difficulty import estimate, levels, quantile_bins


def grades(method, verdicts):
    """Rows of a grades table: problem -> verdicts of its samples, in order."""
    return pd.DataFrame(
        [
            {"method": method, "problem_id": problem, "path": i, "correct": correct}
            for problem, row in verdicts.items()
            for i, correct in enumerate(row)
        ]
    ).astype({"correct": "boolean"})


def test_levels_are_the_papers_with_each_threshold_in_the_easier_bin():
    pass_at_1 = [1.0, 0.5, 0.499, 0.1, 0.099, 0.0]
    assert list(levels(pass_at_1)) == ["easy", "easy", "medium", "medium", "hard", "hard"]


def test_thresholds_are_settings():
    assert list(levels([0.8, 0.6, 0.2], easy=0.7, hard=0.3)) == ["easy", "medium", "hard"]


def test_pass_at_1_is_the_share_of_right_samples():
    table = estimate(grades("difficulty", {"b": [True, False, False, False], "a": [True, True]}))
    assert list(table["problem_id"]) == ["a", "b"]
    assert list(table["pass_at_1"]) == [1.0, 0.25]
    assert list(table["n_samples"]) == [2, 4]
    assert list(table["level"]) == ["easy", "medium"]


def test_held_out_samples_are_used_where_there_are_any():
    both = pd.concat([grades("pool", {"a": [False] * 8}), grades("difficulty", {"a": [True] * 4})])
    table = estimate(both)
    assert list(table["pass_at_1"]) == [1.0]
    assert list(table["source"]) == ["held-out"]


def test_without_them_the_pool_is_used_and_the_table_says_so():
    rows = pd.concat([grades("pool", {"a": [True, False]}), grades("cot", {"a": [True]})])
    table = estimate(rows)
    assert list(table["pass_at_1"]) == [0.5]
    assert list(table["source"]) == ["pool"]


def test_an_undecided_grade_is_not_a_right_one():
    assert list(estimate(grades("pool", {"a": [True, pd.NA]}))["pass_at_1"]) == [0.5]


def test_no_samples_is_an_error():
    with pytest.raises(UserError, match="no graded samples"):
        estimate(grades("cot", {"a": [True]}))


@pytest.mark.parametrize(("n", "bins"), [(30, 5), (31, 5), (33, 4), (3, 5), (500, 10)])
def test_quantile_bins_differ_in_size_by_at_most_one(n, bins):
    ids = [f"p{i}" for i in range(n)]
    names = quantile_bins(np.zeros(n), ids, bins)
    sizes = [Counter(names)[f"q{i + 1}"] for i in range(bins)]
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1


def test_quantile_bins_go_from_easy_to_hard():
    pass_at_1 = np.random.default_rng(0).permutation(np.linspace(0, 1, 20))
    names = quantile_bins(pass_at_1, [f"p{i}" for i in range(20)], 5)
    means = [pass_at_1[names == f"q{i}"].mean() for i in range(1, 6)]
    assert means == sorted(means, reverse=True)


def test_ties_do_not_depend_on_the_order_of_the_rows():
    ids = [f"p{i}" for i in range(40)]
    forward = dict(zip(ids, quantile_bins(np.ones(40), ids, 5), strict=True))
    backward = dict(zip(ids[::-1], quantile_bins(np.ones(40), ids[::-1], 5), strict=True))
    assert forward == backward
    assert [forward[i] for i in ids] != sorted(forward.values()), "ties follow the dataset's order"
