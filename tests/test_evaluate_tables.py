"""Tables over problems, and FLOPs against published figures."""

import numpy as np
import pandas as pd
import pytest
from testtime.errors import UserError
from testtime.evaluate.costs import inference_flops, pretraining_flops
from testtime.evaluate.tables import accuracy_table, pass_at_k_table

N = 120


def outcomes():
    rng = np.random.default_rng(0)
    ids = [f"p{i:03d}" for i in range(N)]
    parts = []
    for method, vote, budget in [("cot", "none", 1), ("majority", "majority", 4)]:
        parts.append(
            pd.DataFrame(
                {
                    "dataset": "d", "policy": "p", "prm": "none", "method": method,
                    "scoring": "none", "vote": vote, "thinking": 0, "budget": budget,
                    "problem_id": ids,
                    "correct": rng.random(N), "run_variance": 0.1, "samples": 1.0 * budget,
                    "samples_sd": 0.0, "policy_tokens": 10.0 * budget,
                    "prm_tokens": 0.0, "flops": 20.0 * budget, "latency_s": 0.5, "kv_gb": 0.1,
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def difficulty(n=N):
    return pd.DataFrame(
        {
            "dataset": "d",
            "policy": "p",
            "problem_id": [f"p{i:03d}" for i in range(n)],
            "level": ["easy" if i < 100 else "hard" for i in range(n)],
            "quantile": [f"q{1 + i * 5 // n}" for i in range(n)],
        }
    )


def test_accuracy_is_the_mean_over_the_problems_of_each_bin():
    rows = outcomes()
    table = accuracy_table(rows, difficulty())
    assert list(table.columns) == [
        "dataset", "policy", "prm", "method", "scoring", "vote", "thinking", "budget", "difficulty",
        "n_problems", "accuracy", "ci_low", "ci_high", "run_sd", "samples", "samples_sd",
        "policy_tokens", "prm_tokens", "flops", "latency_s", "kv_gb",
    ]  # fmt: skip
    # No problem is of medium difficulty, so there is nothing to say about them.
    assert table["difficulty"].drop_duplicates().to_list() == [
        "all", "easy", "hard", "q1", "q2", "q3", "q4", "q5",
    ]  # fmt: skip
    cot = rows[rows["method"] == "cot"]["correct"].to_numpy()
    found = table[table["method"] == "cot"].set_index("difficulty")
    assert found.loc["all", "accuracy"] == pytest.approx(cot.mean())
    assert found.loc["hard", "accuracy"] == pytest.approx(cot[100:].mean())
    assert found.loc["q5", "accuracy"] == pytest.approx(cot[96:].mean())
    assert found["n_problems"].to_list() == [120, 100, 20, 24, 24, 24, 24, 24]
    assert (table["ci_low"] < table["accuracy"]).all()
    assert (table["accuracy"] < table["ci_high"]).all()
    assert table[table["method"] == "majority"]["flops"].unique() == [80.0]


def test_intervals_are_wider_on_fewer_problems():
    table = accuracy_table(outcomes(), difficulty())
    width = (table["ci_high"] - table["ci_low"]).groupby(table["difficulty"]).mean()
    assert width["all"] < width["easy"] < width["hard"]


def test_a_problem_without_difficulty_is_refused():
    with pytest.raises(UserError, match="p on d: problem p119 has no difficulty"):
        accuracy_table(outcomes(), difficulty(N - 1))


def test_pass_at_k_covers_powers_of_two_and_the_budgets():
    rng = np.random.default_rng(1)
    right = rng.random((N, 12)) < 0.3
    grades = pd.DataFrame(
        {
            "dataset": "d",
            "policy": "p",
            "method": "pool",
            "problem_id": np.repeat([f"p{i:03d}" for i in range(N)], 12),
            "path": np.tile(np.arange(12), N),
            "answer_class": 0,
            "correct": pd.array(right.ravel(), dtype="boolean"),
        }
    )
    held_out = grades.assign(method="difficulty", correct=False)
    table = pass_at_k_table(pd.concat([grades, held_out]), budgets=[3, 12, 64]).set_index("k")
    assert table.index.to_list() == [1, 2, 3, 4, 8, 12]
    assert list(table.columns) == [
        "dataset", "policy", "pass_at_k", "ci_low", "ci_high", "n_problems",
    ]  # fmt: skip
    assert table.loc[1, "pass_at_k"] == pytest.approx(right.mean())
    assert table.loc[12, "pass_at_k"] == pytest.approx(right.any(axis=1).mean())
    assert table["pass_at_k"].is_monotonic_increasing
    assert (table["n_problems"] == N).all()


@pytest.mark.parametrize(
    ("parameters", "tokens", "published"),
    [  # Liu et al. (2025), table 4: billions of parameters, trillions of tokens, FLOPs
        (3, 9, 1.62e23),
        (405, 15, 3.65e25),
        (7, 18, 7.56e23),
        (671, 14.8, 5.96e25),
    ],
)
def test_pretraining_flops_follow_the_published_table(parameters, tokens, published):
    assert pretraining_flops(parameters * 1e9, tokens * 1e12) == pytest.approx(published, rel=2e-3)


def test_a_token_costs_two_operations_per_parameter():
    np.testing.assert_array_equal(inference_flops(3.0, np.array([0, 5])), [0, 30])
