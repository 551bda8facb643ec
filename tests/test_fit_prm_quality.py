import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from testtime.compare.prm_bias import Resampling, bias_table, length_table
from testtime.compare.prm_quality import (
    first_wrong,
    label_samples,
    quality_table,
    step_auc,
)
from testtime.compare.prm_worth import log_fit, quality_against_accuracy

# Two erroneous samples (the first located at threshold 0.5, the second not), three correct ones
# (two called correct).
SCORES = [[0.9, 0.2, 0.7], [0.9, 0.8, 0.6], [0.9, 0.9], [0.8], [0.4, 0.9]]
FIRST = [1, 2, -1, -1, -1]


def labelled(scores=SCORES, first=FIRST, **names):
    names = {"dataset": "toy", "policy": "small", "prm": "r"} | names
    ids = [f"p{i}" for i in range(len(scores))]
    return pd.DataFrame({**names, "problem_id": ids, "scores": scores, "first_error": first})


def process_f1(scores, first):
    """Accuracy on erroneous samples, on correct ones, and F1, as the table has them."""
    row = quality_table(labelled(scores, first), bootstrap=10).iloc[0]
    return tuple(row[["accuracy_erroneous", "accuracy_correct", "f1"]])


def test_f1_is_the_harmonic_mean_of_both_accuracies():
    erroneous, correct, f1 = process_f1(SCORES, FIRST)
    assert (erroneous, correct) == (0.5, pytest.approx(2 / 3))
    assert f1 == pytest.approx(2 / (1 / 0.5 + 1 / (2 / 3)))


def test_only_the_exact_first_wrong_step_counts():
    assert process_f1([[0.1, 0.1], [0.9, 0.9]], [1, -1])[0] == 0


def test_f1_is_zero_where_one_accuracy_is():
    assert process_f1([[0.9], [0.9]], [0, -1])[2] == 0


def test_f1_is_undefined_without_erroneous_samples():
    assert np.isnan(process_f1([[0.9]], [-1])[2])


def test_auc_counts_pairs_of_right_and_wrong_steps():
    """Steps after the first wrong one count as wrong; ties count half."""
    right = [0.9, 0.9, 0.8, 0.9, 0.9, 0.8, 0.4, 0.9]
    wrong = [0.2, 0.7, 0.6]
    pairs = [(r > w) + 0.5 * (r == w) for r in right for w in wrong]
    assert step_auc(SCORES, FIRST) == pytest.approx(np.mean(pairs))


def test_auc_at_the_first_wrong_step_leaves_later_ones_out():
    right = [0.9, 0.9, 0.8, 0.9, 0.9, 0.8, 0.4, 0.9]
    pairs = [r > w for r in right for w in (0.2, 0.6)]
    assert step_auc(SCORES, FIRST, first_only=True) == pytest.approx(np.mean(pairs))


def test_auc_of_right_steps_alone_is_undefined():
    assert np.isnan(step_auc([[0.9, 0.8]], [-1]))


def test_the_table_has_a_row_per_prm_with_its_interval():
    rng = np.random.default_rng(0)
    first = rng.integers(-1, 4, 200)
    scores = [
        [float(np.clip(rng.normal(0.3 if 0 <= f <= k else 0.7, 0.2), 0, 1)) for k in range(4)]
        for f in first
    ]
    table = quality_table(pd.concat([labelled(scores, first), labelled(scores, first, prm="s")]))
    assert list(table["prm"]) == ["r", "s"]
    row = table.iloc[0]
    assert row["auc"] == pytest.approx(step_auc(scores, first))
    assert row["auc_low"] < row["auc"] < row["auc_high"]
    assert row["f1_low"] < row["f1"] < row["f1_high"]
    assert row["n_steps"] == 800


def test_a_tuned_threshold_mends_scores_on_another_scale():
    """Scores all below 0.5, but perfectly ordered."""
    first = np.tile([1, -1], 40)
    scores = [[0.4, 0.1 if f == 1 else 0.4] for f in first]
    row = quality_table(labelled(scores, first)).iloc[0]
    assert row["accuracy_correct"] == 0
    assert row["f1_tuned"] == 1


def test_samples_are_labelled_by_a_checker_and_empty_ones_left_out():
    problems = pd.DataFrame({"problem_id": ["a"], "problem": ["1+1"]})
    samples = pd.DataFrame({"problem_id": ["a"] * 3, "steps": [["ok", "no", "ok"], ["ok"], []]})
    found = label_samples(problems, samples, lambda _, steps: [s == "ok" for s in steps])
    assert list(found["first_error"]) == [1, -1]
    assert first_wrong([True, False, True]) == 1


def test_real_step_labels_give_what_a_plain_loop_gives(shared_data):
    lines = (shared_data / "steps" / "processbench_gsm8k.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    # These samples all have a wrong step; up to it, they are samples without one.
    lengths = [len(row["steps"]) for row in rows]
    first = [row["first_error_step"] for row in rows]
    lengths += [error for error in first if error > 0]
    first += [-1 for error in first if error > 0]
    rng = np.random.default_rng(0)
    scores = [rng.random(length).round(2).tolist() for length in lengths]
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for row, error in zip(scores, first, strict=True):
        called = -1
        for k, score in enumerate(row):
            if score < 0.5:
                called = k
                break
        hits[error == -1].append(called == error)
    correct, erroneous = np.mean(hits[True]), np.mean(hits[False])
    expected = 2 * correct * erroneous / (correct + erroneous) if correct + erroneous else 0.0
    assert process_f1(scores, first) == pytest.approx((erroneous, correct, expected))


def test_a_log_curve_is_recovered():
    x = np.array([30.0, 50, 60, 75])
    fit = log_fit(x, 7.66 * np.log(x) + 44.31)
    assert fit["slope"] == pytest.approx(7.66)
    assert fit["intercept"] == pytest.approx(44.31)
    assert fit["r_squared"] == pytest.approx(1)


def test_a_curve_needs_two_different_qualities():
    fit = log_fit(np.array([50.0, 50]), np.array([1.0, 2]))
    assert np.isnan(fit["slope"])
    assert fit["n"] == 2


def test_quality_is_joined_by_policy_and_else_by_prm():
    accuracy = pd.DataFrame(
        {"dataset": "toy", "policy": ["a", "b"] * 3, "prm": ["r", "r", "s", "s", "any", "any"]}
        | {"budget": 4, "accuracy": [0.5, 0.6, 0.7, 0.8, 0.9, 0.9], "ci_low": 0.4, "ci_high": 0.9}
    )
    quality = pd.DataFrame({"dataset": "toy", "policy": "a", "prm": ["r", "s"], "f1": [0.3, 0.6]})
    points = quality_against_accuracy(accuracy, quality)
    assert list(points["quality"]) == pytest.approx([30, 30, 60, 60])


def pool(scores, tokens, correct):
    """Samples of one problem per row."""
    rows = [
        {"problem_id": f"p{i}", "sample": j, "scores": [0.1, s], "tokens": t, "correct": c}
        for i, row in enumerate(zip(scores, tokens, correct, strict=True))
        for j, (s, t, c) in enumerate(zip(*row, strict=True))
    ]
    return pd.DataFrame(rows).assign(dataset="toy", policy="small", prm="r")


def test_a_prm_that_likes_length_chooses_long_samples():
    samples = pool([[0.1, 0.5, 0.9]], [[10, 20, 60]], [[0, 0, 0]])
    table = length_table(samples, [1, 3])
    assert list(table["chosen_tokens"]) == pytest.approx([30, 60])
    assert list(table["pool_tokens"]) == pytest.approx([30, 30])
    assert list(table["correlation"]) == pytest.approx([1, 1])


def test_scores_of_wrong_samples_stand_by_thirds_of_length():
    samples = pool([[0.9, 0.5, 0.1]], [[10, 20, 60]], [[0, 0, 0]])
    table = bias_table(samples).set_index("length")
    assert table.loc["short", "mean_score"] == pytest.approx(0.9)
    assert table.loc["long", "mean_score"] == pytest.approx(0.1)
    assert table["n_samples"].to_list() == [1, 1, 1]


def test_intervals_of_biases_are_the_bootstraps_over_problems():
    """Every problem has samples of equal score, so only the problems drawn matter."""
    rng = np.random.default_rng(1)
    level = rng.random(40)
    samples = pool([[v] * 6 for v in level], [list(range(10, 16))] * 40, [[0, 0, 0, 0, 0, 0]] * 40)
    row = bias_table(samples, resampling=Resampling(bootstrap=4000)).iloc[0]
    half = stats.t.ppf(0.975, 39) * level.std(ddof=1) / np.sqrt(40)
    assert row["n_problems"] == 40
    assert row["score_low"] == pytest.approx(level.mean() - half, abs=0.01)
    assert row["score_high"] == pytest.approx(level.mean() + half, abs=0.01)


def test_the_length_ratio_of_one_sample_is_one_without_doubt():
    rng = np.random.default_rng(2)
    samples = pool(rng.random((30, 4)), rng.integers(5, 50, (30, 4)), np.zeros((30, 4), dtype=int))
    table = length_table(samples, [1, 4]).set_index("budget")
    assert table.loc[1, ["ratio", "ratio_low", "ratio_high"]].to_list() == pytest.approx([1] * 3)
    assert table.loc[4, "ratio_low"] < table.loc[4, "ratio"] < table.loc[4, "ratio_high"]
    assert table.loc[4, "correlation_low"] < table.loc[4, "correlation"]


def test_one_problem_has_no_interval():
    samples = pool([[0.9, 0.5, 0.1]], [[10, 20, 60]], [[0, 0, 0]])
    assert bias_table(samples)[["score_low", "score_high"]].isna().all(axis=None)
    assert length_table(samples, [2])[["ratio_low", "correlation_high"]].isna().all(axis=None)


def test_without_labelled_steps_the_table_keeps_its_columns():
    assert list(quality_table(labelled().iloc[:0])) == list(quality_table(labelled()))


def test_samples_of_unknown_length_say_nothing_of_length():
    samples = pool([[0.9, 0.5, 0.1]], [[10, 20, 60]], [[0, 0, 0]]).assign(tokens=np.nan)
    assert bias_table(samples).empty
    assert length_table(samples, [2]).empty


def test_without_wrong_samples_there_is_no_correlation_with_length():
    samples = pool([[0.9, 0.5, 0.1]] * 3, [[10, 20, 60]] * 3, [[1, 1, 1]] * 3)
    found = length_table(samples, [2]).iloc[0]
    assert found[["correlation", "correlation_low", "correlation_high"]].isna().all()
    assert found["ratio_low"] <= found["ratio"] + 1e-9 <= found["ratio_high"] + 2e-9
