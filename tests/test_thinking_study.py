"""A study of a policy that thinks, from samples to advice, in real runs."""

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from small_study import SmallStudy
from testtime.cli import app
from testtime.data.rows import read_rows
from testtime.data.store import read_csv, read_json, read_parquet
from testtime.study.vocabulary import SCORE_DIGITS
from typer.testing import CliRunner

pytestmark = pytest.mark.study

PRM = "micro-prm-good"
STUDY = {
    "policies": ["micro-think-xs", "micro-think-m"],
    "prms": [PRM],
    "methods": [
        *("cot", "majority", "confidence", "best_of_n", "unforced_majority", "shortest_majority"),
        "adaptive_consistency",
    ],
    "problems": {"limit": 8},
    "budgets": {"pool": [1, 2, 4], "search": [], "thinking": [32, 128]},
    "difficulty": {"samples": 4},
    "evaluate": {"subsets": 100, "bootstrap": 100},
    "fit": {"folds": 3, "repeats": 2},
}
POLICY = "micro-think-m"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    study = SmallStudy(tmp_path_factory.mktemp("thinking") / "study", STUDY)
    study.run()
    return study


def drawn(study):
    """Tokens that models have drawn, by what they are: segments by place, answers by budget."""
    found = {}
    for path in study.results.glob("store/generate/**/*.jsonl.gz"):
        for stamp, rows in read_rows(path):
            part = stamp.split("/")[1]
            tokens = sum(len(row["logprobs"]) for _, row in rows)
            found[part] = found.get(part, 0) + tokens
    return found


@pytest.fixture(scope="module")
def pool(finished):
    """The pool's samples with their grades."""
    folder = finished.results
    files = sorted(folder.glob(f"generations/microcosm/{POLICY}/*-*/*.parquet"))
    samples = pd.concat([pd.read_parquet(path) for path in files])
    grades = read_parquet(folder / f"grades/microcosm/{POLICY}.parquet")
    grades = grades[grades["method"] == "pool"].rename(columns={"path": "sample"})
    keys = ["problem_id", "sample", "thinking"]
    return samples.merge(grades[[*keys, "answer_class", "correct"]], on=keys, validate="one_to_one")


def test_majority_votes_at_each_n_and_t_equal_going_through_all_subsets(finished, pool):
    outcomes = read_parquet(finished.results / "tables/outcomes.parquet")
    rows = outcomes[(outcomes["policy"] == POLICY) & (outcomes["method"] == "majority")]
    assert set(rows["thinking"]) == {32, 128}
    for row in rows.to_dict("records"):
        own = pool[
            (pool["problem_id"] == row["problem_id"]) & (pool["thinking"] == row["thinking"])
        ]
        votes = [vote(own.iloc[list(some)]) for some in combinations(range(4), row["budget"])]
        assert row["correct"] == pytest.approx(np.mean(votes))
        assert row["policy_tokens"] == pytest.approx(row["budget"] * own["tokens"].mean())
        assert row["flops"] == pytest.approx(2 * 598400 * row["policy_tokens"])


def test_a_prm_reads_the_answer_at_each_thinking_budget(finished, pool):
    """Best-of-N by the last step at every (N, T), against going through all subsets."""
    files = sorted((finished.results / f"scores/microcosm/{POLICY}/{PRM}").glob("*/*.parquet"))
    scores = pd.concat([pd.read_parquet(path) for path in files])
    keys = ["problem_id", "sample", "thinking"]
    read = pool.merge(scores, on=keys, validate="one_to_one")
    assert len(read) == len(pool)
    assert (read["scores"].map(len) == read["steps"].map(len)).all()
    read["last"] = [
        round(found[-1], SCORE_DIGITS) if len(found) else 0.0 for found in read["scores"]
    ]
    outcomes = read_parquet(finished.results / "tables/outcomes.parquet")
    chosen = {"policy": POLICY, "method": "best_of_n", "scoring": "last", "vote": "max"}
    rows = outcomes[(outcomes[list(chosen)] == pd.Series(chosen)).all(axis=1)]
    assert set(zip(rows["budget"], rows["thinking"], strict=True)) == {
        (n, t) for n in (1, 2, 4) for t in (32, 128)
    }
    for row in rows.to_dict("records"):
        mine = read[read["problem_id"] == row["problem_id"]]
        mine = mine[mine["thinking"] == row["thinking"]]
        subsets = [mine.iloc[list(some)] for some in combinations(range(4), row["budget"])]
        assert row["correct"] == pytest.approx(np.mean([best(some) for some in subsets]))
        texts = [some.drop_duplicates("text")["prm_tokens"].sum() for some in subsets]
        assert row["prm_tokens"] == pytest.approx(np.mean(texts))


def best(some):
    """Correctness of the sample with the best last score, ties shared, among those that answer."""
    own = some[some["answer_class"] >= 0]
    top = own.loc[own["last"] == own["last"].max(), "correct"]
    return top.fillna(False).astype(float).mean() if len(own) else 0.0


def test_thoughts_that_are_not_forced_to_answer_cost_less_and_may_be_silent(finished, pool):
    outcomes = read_parquet(finished.results / "tables/outcomes.parquet")
    rows = outcomes[(outcomes["policy"] == POLICY) & (outcomes["method"] == "unforced_majority")]
    for row in rows.to_dict("records"):
        own = pool[
            (pool["problem_id"] == row["problem_id"]) & (pool["thinking"] == row["thinking"])
        ]
        own = own.assign(answer_class=own["answer_class"].where(~own["forced"], -1))
        votes = [vote(own.iloc[list(some)]) for some in combinations(range(4), row["budget"])]
        assert row["correct"] == pytest.approx(np.mean(votes))
        spent = own["thought_tokens"].where(own["forced"], own["tokens"])
        assert row["policy_tokens"] == pytest.approx(row["budget"] * spent.mean())


def vote(some):
    """Correctness of the most frequent answer, ties shared; silent samples do not vote."""
    counts = some[some["answer_class"] >= 0]["answer_class"].value_counts()
    top = counts.index[counts == counts.max()] if len(counts) else []
    right = some.drop_duplicates("answer_class").set_index("answer_class")["correct"]
    return np.mean([bool(right[group]) for group in top]) if len(top) else 0.0


def test_costs_are_those_of_a_run_with_that_budget(finished, pool):
    assert (pool["thought_tokens"] <= pool["thinking"]).all()
    assert (
        pool.loc[pool["forced"], "thought_tokens"] == pool.loc[pool["forced"], "thinking"]
    ).all()
    answers = pool["tokens"] - pool["thought_tokens"]
    assert answers.between(0, 16).all()


def test_accuracy_and_gains_stand_by_thinking_budget(finished, pool):
    table = read_csv(finished.results / "tables/thinking.csv")
    whole = read_csv(finished.results / "tables/accuracy.csv")
    keys = ["method", "scoring", "vote", "budget"]
    rows = table[(table["policy"] == POLICY) & (table["difficulty"] == "all")]
    first, last = (rows[rows["thinking"] == t].set_index(keys)["accuracy"] for t in (32, 128))
    shown = whole[(whole["policy"] == POLICY) & (whole["difficulty"] == "all")].set_index(keys)
    assert last.sort_index().equals(shown["accuracy"].sort_index()), (
        "accuracy.csv has the largest T"
    )
    gains = read_csv(finished.results / "tables/thinking_gains.csv")
    gains = gains[(gains["policy"] == POLICY) & (gains["difficulty"] == "all")].set_index(keys)
    assert gains["gain"].sort_index().to_numpy() == pytest.approx(
        (last - first).sort_index().to_numpy(), abs=2e-6
    )
    assert (gains["more_tokens"] > 0).all()


def test_answers_of_cut_thoughts_are_told_from_those_of_ended_ones(finished, pool):
    table = read_csv(finished.results / "tables/thinking_forced.csv")
    table = table[table["policy"] == POLICY].set_index("thinking")
    for thinking, own in pool.groupby("thinking"):
        row, right = table.loc[thinking], own["correct"].fillna(False).astype(float)
        assert row["cut"] == pytest.approx(own["forced"].mean(), abs=1e-6)
        assert row["forced_accuracy"] == pytest.approx(right[own["forced"]].mean(), abs=1e-6)
        assert row["own_accuracy"] == pytest.approx(
            right[~own["forced"]].mean(), abs=1e-6, nan_ok=True
        )
        assert row["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
        assert row["unforced"] == pytest.approx((right * ~own["forced"]).mean(), abs=1e-6)
    assert table["cut"].is_monotonic_decreasing


def test_a_larger_budget_draws_continuations_and_a_smaller_one_answers(finished, tmp_path):
    before = drawn(finished)
    assert set(before) == {"thought-0", "answer-0", "answer-32", "answer-128"} | (
        {"thought-128"} & set(before)  # answers of thoughts that closed just before
    )
    study = finished.copied(tmp_path / "larger")
    study.change({"budgets": {"thinking": [32, 128, 256]}})
    study.run_models()
    larger = drawn(study)
    assert {part: larger[part] for part in ("thought-0", "answer-32", "answer-128")} == {
        part: before[part] for part in ("thought-0", "answer-32", "answer-128")
    }
    assert larger["thought-128"] > before.get("thought-128", 0)
    assert max(study.kept().values()) == 1
    study.change({"budgets": {"thinking": [16, 32, 128, 256]}})
    study.run_models()
    smaller = drawn(study)
    assert smaller.pop("answer-16") > 0
    assert smaller == larger
    assert max(study.kept().values()) == 1
    thinking = {"close": "</think>", "cue": "\\boxed{", "answer_tokens": 16}
    policies = {name: {"base": name, "thinking": thinking} for name in STUDY["policies"]}
    study.change({"budgets": {"thinking": [32, 128]}, "catalog": {"policies": policies}})
    study.run_models()
    recued = drawn(study)
    assert {part: n for part, n in recued.items() if "thought" in part} == {
        part: n for part, n in larger.items() if "thought" in part
    }
    assert recued["answer-0"] == larger["answer-0"]
    assert recued["answer-32"] > larger["answer-32"]


def test_advice_names_samples_and_thinking_tokens_for_a_number_of_tokens(finished):
    lookup = finished.results / "lookup.json"
    entries = [e for e in read_json(lookup)["by_cost"] if e["axis"] == "policy_tokens"]
    own = [e for e in entries if e["policy"] == POLICY and e["difficulty"] == "all"]
    amounts = sorted(entry["amount"] for entry in own)

    def advise(tokens, *more):
        arguments = ["advise", "--policy", POLICY, "--tokens", str(tokens), "--lookup", str(lookup)]
        return CliRunner().invoke(app, [*arguments, *more])

    done = advise(amounts[-1] + 1)
    assert done.exit_code == 0, done.stderr
    assert f"{amounts[-1] + 1:,.0f} generated tokens on a problem" in done.stdout
    assert "tokens of thought, N = " in done.stdout
    found = json.loads(advise(amounts[2], "--json").stdout)["advice"]
    assert found["amount"] == amounts[2]
    assert found["cost"]["policy_tokens"] <= amounts[2]
    assert found["strategy"]["thinking"] in (32, 128)
    refused = advise(1)
    assert f"allowed: {amounts[0]:g} or more" in str(refused.exception)


def test_what_does_not_think_and_what_does_stand_side_by_side(tmp_path):
    changes = {"policies": ["micro-s", "micro-think-xs"], "problems": {"limit": 4}}
    study = SmallStudy(tmp_path / "study", STUDY | changes)
    study.run("results/tables/accuracy.csv", "results/tables/thinking.csv")
    accuracy = read_csv(study.results / "tables/accuracy.csv")
    assert accuracy.groupby("policy")["thinking"].unique().map(list).to_dict() == {
        "micro-s": [0],
        "micro-think-xs": [128],
    }
    assert set(read_csv(study.results / "tables/thinking.csv")["policy"]) == {"micro-think-xs"}
