"""Outcomes of a policy: every strategy, what it achieves and what it costs."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from testtime.errors import UserError
from tiny_pool import NO_SCORES, NO_SEARCH, P, R, evaluate, frames


@pytest.fixture(scope="module")
def outcomes():
    generations, scores, grades = frames()
    return evaluate(generations, scores, NO_SEARCH, grades)


def pick(rows, method, scoring, vote, budget):
    key = (
        (rows["method"] == method)
        & (rows["scoring"] == scoring)
        & (rows["vote"] == vote)
        & (rows["budget"] == budget)
    )
    return rows[key].set_index("problem_id")


def test_there_is_one_row_per_problem_and_strategy(outcomes):
    assert list(outcomes.columns) == [
        "dataset", "policy", "prm", "method", "scoring", "vote", "thinking", "budget", "problem_id",
        "correct", "run_variance", "samples", "samples_sd", "policy_tokens", "prm_tokens", "flops",
            "latency_s", "kv_gb",
    ]  # fmt: skip
    # CoT; majority at 2 budgets; 2 confidences and 3 scorings, each by 2 votes at 2 budgets.
    assert len(outcomes) == 2 * (1 + 2 + 2 * 2 * 2 + 3 * 2 * 2)
    keys = ["prm", "method", "scoring", "vote", "budget", "problem_id"]
    assert not outcomes.duplicated(keys).any()
    assert outcomes[keys].equals(outcomes[keys].sort_values(keys, ignore_index=True))


def test_the_whole_pool_votes_as_by_hand(outcomes):
    # a: two against two. b: the right answer has two votes, the undecided one has one.
    assert pick(outcomes, "majority", "none", "majority", 4)["correct"].to_dict() == {
        "a": 0.5,
        "b": 1.0,
    }
    # a: class 0 has 0.2 + 0.8, class 1 has 0.6 + 0.7. b: 0.5 against 0.4 + 0.4.
    last = pick(outcomes, "best_of_n", "last", "weighted", 4)["correct"]
    assert last.to_dict() == {"a": 0.0, "b": 1.0}
    # a: the last sample has 0.8. b: the best has no answer, the next one is undecided.
    best = pick(outcomes, "best_of_n", "last", "max", 4)["correct"]
    assert best.to_dict() == {"a": 1.0, "b": 0.0}


def test_a_smaller_budget_is_the_mean_over_all_pairs(outcomes):
    scores = [0.2, 0.6, 0.6, 0.8]
    right = [True, False, False, True]
    expected = np.mean(
        [right[max(pair, key=lambda i: scores[i])] for pair in combinations(range(4), 2)]
    )
    found = pick(outcomes, "best_of_n", "min", "max", 2)["correct"]["a"]
    assert found == pytest.approx(expected)


def test_confidence_votes_weigh_by_the_geometric_mean_probability_and_need_no_prm(outcomes):
    # The root of the product of two steps. a: 0.42 + 0.8 against 0.6 + 0.59. b: 0.59 against 0.8.
    found = pick(outcomes, "confidence", "avg", "weighted", 4)
    assert found["correct"].to_dict() == {"a": 1.0, "b": 1.0}
    assert set(found["prm"]) == {"none"}
    assert (found["prm_tokens"] == 0).all()
    assert pick(outcomes, "confidence", "min", "max", 4)["correct"].to_dict() == {
        "a": 1.0,  # worst steps 0.2, 0.6, 0.5, 0.8
        "b": 0.0,
    }


def test_cot_is_the_greedy_sample_alone(outcomes):
    cot = pick(outcomes, "cot", "none", "none", 1)
    assert cot["correct"].to_dict() == {"a": 1.0, "b": 0.0}
    assert cot["policy_tokens"].to_list() == [12.0, 12.0]
    assert cot["flops"].to_list() == [2 * P * 12] * 2


def test_cot_of_several_samples_is_their_mean(outcomes):
    generations, _, grades = frames()
    pool = ~generations["block"].isin(["cot", "difficulty"])
    chains = generations[pool].assign(block="cot")
    of_pool = grades[grades["method"] == "pool"]
    rows = evaluate(chains, NO_SCORES, NO_SEARCH, of_pool.assign(method="cot"), pool_budgets=[])
    assert set(rows["method"]) == {"cot"}
    for problem, own in of_pool.groupby("problem_id"):
        right = own["correct"].fillna(False).astype(float)
        row = rows.set_index("problem_id").loc[problem]
        assert row["correct"] == pytest.approx(right.mean())
        tokens = chains[chains["problem_id"] == problem]["tokens"]
        assert row["policy_tokens"] == pytest.approx(tokens.mean())
    assert "0 (exact) for 0 of 1 strategies" in " ".join(rows.attrs["notes"])


def test_a_prm_reads_each_distinct_text_of_a_draw_once(outcomes):
    tokens, texts = [11, 21, 21, 31], ["x", "y", "y", "z"]
    for k in (2, 4):
        read = np.mean(
            [
                sum(dict(zip([texts[i] for i in s], [tokens[i] for i in s], strict=True)).values())
                for s in combinations(range(4), k)
            ]
        )
        row = pick(outcomes, "best_of_n", "avg", "weighted", k).loc["a"]
        assert row["prm_tokens"] == pytest.approx(read)
        assert row["policy_tokens"] == pytest.approx(k * 20)
        assert row["flops"] == pytest.approx(2 * P * k * 20 + 2 * R * read)


def test_what_was_undecided_silent_or_inexact_is_said(outcomes):
    notes = " | ".join(outcomes.attrs["notes"])
    assert "12 paths graded: 1 could not be decided and count as wrong, 1 have no answer" in notes
    assert "0 (exact) for 23 of 23 strategies" in notes


def test_methods_without_data_are_named():
    generations, _, grades = frames()
    generations = generations[generations["block"] != "cot"].assign(logprob=np.nan)
    rows = evaluate(generations, NO_SCORES, NO_SEARCH, grades)
    assert set(rows["method"]) == {"majority"}
    said = [note.split(":")[0] for note in rows.attrs["notes"] if "not evaluated" in note]
    assert said == ["best_of_n", "confidence", "cot"]


def test_unknown_token_counts_stay_unknown():
    generations, scores, grades = frames()
    generations["tokens"] = pd.array([pd.NA] * len(generations), dtype="Int64")
    rows = evaluate(generations, scores, NO_SEARCH, grades)
    assert rows["policy_tokens"].isna().all()
    assert rows["flops"].isna().all()
    assert rows["correct"].notna().all()


def test_the_order_of_the_input_does_not_matter(outcomes):
    generations, scores, grades = (f.sample(frac=1, random_state=9) for f in frames())
    again = evaluate(generations, scores, NO_SEARCH, grades)
    pd.testing.assert_frame_equal(outcomes, again)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda g, s, r: (g[g["block"] != "0-2"], s, r), "number 0 of problem a is missing"),
        (lambda g, s, r: (g, s.head(7), r), "scores of good: number"),
        (lambda g, s, r: (g, s, r[r["problem_id"] != "b"]), "grades of pool"),
        (lambda g, s, r: (g, s.assign(prm="other"), r), "PRM 'other' has scores but no number"),
        (
            lambda g, s, r: (g, s.assign(scores=[[np.nan]] * len(s)), r),
            "best_of_n with good: scores, row 0: step score nan is not allowed; 0 to 1 are",
        ),
    ],
)
def test_missing_data_is_refused_by_name(break_it, message):
    generations, scores, grades = break_it(*frames())
    with pytest.raises(UserError, match=message):
        evaluate(generations, scores, NO_SEARCH, grades)


def test_a_budget_beyond_the_pool_is_refused():
    generations, scores, grades = frames()
    with pytest.raises(UserError, match=r"budgets.pool: 8 is more than the 4 samples"):
        evaluate(generations, scores, NO_SEARCH, grades, pool_budgets=[2, 8])
