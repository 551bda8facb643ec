from collections import Counter

import numpy as np
import pytest
from fakes import END, PIECES, FakePolicy, FakePrm, random_tree
from testtime.errors import UserError
from testtime.sample import SampleSettings, sample_pool
from testtime.solve.answer import as_frame, choose_answer, follow_once
from testtime.solve.draw import Models, with_classes
from testtime.solve.run import solve, summary
from testtime.study.catalog import PolicySpec, PrmSpec
from testtime.study.methods import METHODS, rules
from testtime.study.types import Path, Problem

PROBLEMS = [Problem(f"p{i}", f"problem {i}") for i in range(6)]
SPEC = PolicySpec(name="fake", parameters=1e3, max_tokens=12, step_tokens=6, max_steps=4)
PRM_SPEC = PrmSpec(name="judge", parameters=1e3)


class BoxedPolicy(FakePolicy):
    """Ends every text with its last letter in a box."""

    separator = "\n\n"

    def decode(self, token_ids):
        words = [PIECES[token] for token in token_ids if PIECES[token].strip()]
        box = f"\\boxed{{{words[-1] if words else 'z'}}}" if END in token_ids else ""
        return super().decode(token_ids) + box


def models(seed=1, prm=True):
    policy = BoxedPolicy(random_tree(3))
    judge = FakePrm(seed=2) if prm else None
    return Models(
        policy=policy,
        spec=SPEC,
        prm=judge,
        prm_spec=PRM_SPEC if prm else None,
        seed_parts=(seed, "toy", "fake"),
        convention="exact",
    )


def strategy(method, budget, *, scoring="none", vote="none", prm="none"):
    return {
        "method": method,
        "scoring": scoring,
        "vote": vote,
        "prm": prm,
        "thinking": 0,
        "budget": budget,
    }


def plan(choices, *, n_probe=0, budget=8):
    return {
        "n_probe": n_probe,
        "budget": budget,
        "choices": choices,
        "accuracy": 0.5,
        "ci_low": 0.4,
        "ci_high": 0.6,
    }


def agreement_predictor(weight=8.0, centre=0.5):
    """Predicted Pass@1 grows with the share of the leading answer."""
    return {
        "features": ["agreement"],
        "mean": [centre],
        "scale": [1.0],
        "coefficients": [weight],
        "intercept": 0.0,
    }


def run(chosen, predictor=None, built=None):
    built = built or models()
    return built, solve(built, PROBLEMS, chosen, predictor, easy=0.6, hard=0.4)


def pool(n):
    """The first n samples of every problem, drawn by themselves."""
    drawn = sample_pool(
        BoxedPolicy(random_tree(3)),
        PROBLEMS,
        start=0,
        stop=n,
        settings=SampleSettings.of(SPEC, (1, "toy", "fake")),
    )
    return drawn


def most_frequent(n):
    """Majority answers of the pool's first n samples, ties to the first."""
    found = {}
    for name, group in pool(n).groupby("problem_id"):
        answers = [
            text.rpartition("\\boxed{")[2].rstrip("}") if "boxed" in text else None
            for text in group["text"]
        ]
        counts = Counter(answer for answer in answers if answer)
        found[name] = max(counts, key=lambda a: (counts[a], -answers.index(a))) if counts else None
    return found


def test_majority_voting_answers_as_the_pool_votes():
    _, rows = run(plan({"all": strategy("majority", 8, vote="majority")}))
    assert {row["problem_id"]: row["answer"] for row in rows} == most_frequent(8)


def test_first_samples_are_part_of_the_pool_and_are_not_drawn_again():
    every = {
        level: strategy("majority", 8, vote="majority") for level in ("easy", "medium", "hard")
    }
    built, rows = run(plan(every, n_probe=4), agreement_predictor())
    assert {row["problem_id"]: row["answer"] for row in rows} == most_frequent(8)
    assert sum(len(request.seeds) for request in built.policy.requests) == 8 * len(PROBLEMS)
    assert [row["samples"] for row in rows] == [8] * len(PROBLEMS)


@pytest.mark.parametrize(
    ("method", "scoring", "vote"),
    [
        ("best_of_n", "last", "max"),
        ("best_of_n", "min", "weighted"),
        ("confidence", "avg", "weighted"),
        ("beam_search", "last", "weighted"),
        ("dvts", "avg", "max"),
        ("beam_search", "last", "weighted_all"),
        ("dvts", "none", "majority_all"),
    ],
)
def test_every_token_is_accounted_for(method, scoring, vote):
    prm = "none" if method == "confidence" else "judge"
    chosen = strategy(method, 8, scoring=scoring, vote=vote, prm=prm)
    built, rows = run(plan({"all": chosen}))
    assert sum(row["policy_tokens"] for row in rows) == built.policy.tokens
    read = sum(row["prm_tokens"] for row in rows)
    if method == "dvts":  # each subtree pays for what it reads, also where two read the same
        assert read >= built.prm.tokens
    else:
        assert read == built.prm.tokens
    for row in rows:
        assert row["flops"] == 2e3 * (row["policy_tokens"] + row["prm_tokens"])
        assert row["samples"] <= 8


@pytest.mark.parametrize("method", [n for n in rules(stopping=True) if not METHODS[n].gives_up])
def test_a_rule_that_stops_draws_in_rounds_and_no_further(method):
    built, rows = run(plan({"all": strategy(method, 60, vote="majority")}, budget=60))
    assert sum(row["policy_tokens"] for row in rows) == built.policy.tokens
    samples = with_classes(pool(60), "exact")
    by_problem = dict(list(samples.groupby("problem_id")))
    for row in rows:
        own = by_problem[row["problem_id"]]
        drawn = follow_once(METHODS[method], own, own["answer_class"]).drawn[0]
        assert row["samples"] == drawn
        assert row["policy_tokens"] == own["tokens"].head(drawn).sum()
    assert {row["answer"] for row in rows} != {None}
    if method != "early_stopping":  # none of its windows agrees here
        assert min(row["samples"] for row in rows) < 60, "some problem is decided early"


@pytest.mark.parametrize("method", ["majority_of_bests", "deepconf_high", "shortest_majority"])
def test_a_rule_votes_as_it_does_on_the_pool(method):
    prm = "judge" if method == "majority_of_bests" else "none"
    scoring = "none" if method == "shortest_majority" else "avg"
    chosen = strategy(method, 8, scoring=scoring, vote="weighted", prm=prm)
    built, rows = run(plan({"all": chosen}))
    assert sum(row["policy_tokens"] for row in rows) == built.policy.tokens
    assert [row["samples"] for row in rows] == [8] * len(PROBLEMS)
    texts = set(pool(8)["text"])
    assert all(any(row["answer"] in text for text in texts) for row in rows if row["answer"])


def test_no_answer_wins_without_a_vote():
    paths = as_frame([Path(text="\\boxed{1}", tokens=5)] * 2)
    paths = paths.assign(forced=True, thought_tokens=3)
    chosen = {"scoring": "none", "vote": "majority", "convention": "exact"}
    assert choose_answer(paths, "unforced_majority", **chosen) is None
    assert choose_answer(paths.assign(forced=False), "unforced_majority", **chosen) == "1"


def test_a_rule_that_lacks_what_it_reads_says_so():
    paths = as_frame([Path(text="\\boxed{1}")] * 2).assign(tokens=np.nan)
    with pytest.raises(UserError, match="shortest_majority: these samples lack"):
        choose_answer(paths, "shortest_majority", "none", "majority", convention="exact")


def test_samples_before_a_search_count():
    tree = strategy("beam_search", 4, scoring="last", vote="weighted", prm="judge")
    every = dict.fromkeys(("easy", "medium", "hard"), tree)
    built, rows = run(plan(every, n_probe=4), agreement_predictor())
    assert [row["samples"] for row in rows] == [4 + 4] * len(PROBLEMS)
    assert sum(row["policy_tokens"] for row in rows) == built.policy.tokens
    assert sum(row["prm_tokens"] for row in rows) == built.prm.tokens


def test_the_predicted_level_decides():
    choices = {
        "easy": strategy("majority", 8, vote="majority"),
        "medium": strategy("best_of_n", 8, scoring="last", vote="max", prm="judge"),
        "hard": strategy("beam_search", 4, scoring="last", vote="max", prm="judge"),
    }
    _, rows = run(plan(choices, n_probe=4), agreement_predictor())
    samples = with_classes(pool(4), "exact")
    seen = set()
    for row in rows:
        classes = samples.loc[samples["problem_id"] == row["problem_id"], "answer_class"]
        votes = [c if c >= 0 else -1 - i for i, c in enumerate(classes)]
        agreement = max(Counter(votes).values()) / 4
        predicted = 1 / (1 + np.exp(-8 * (agreement - 0.5)))
        level = "easy" if predicted >= 0.6 else "hard" if predicted < 0.4 else "medium"
        assert row["predicted_pass_at_1"] == pytest.approx(predicted)
        assert row["difficulty"] == level
        assert row["strategy"].startswith(choices[level]["method"])
        seen.add(level)
    assert len(seen) > 1, "the example has problems of several levels"


def test_greedy_cot_after_samples_costs_them_too():
    every = dict.fromkeys(("easy", "medium", "hard"), strategy("cot", 1))
    built, rows = run(plan(every, n_probe=4), agreement_predictor(), models(prm=False))
    assert [row["samples"] for row in rows] == [5] * len(PROBLEMS)
    assert sum(row["policy_tokens"] for row in rows) == built.policy.tokens
    assert [row["prm_tokens"] for row in rows] == [0] * len(PROBLEMS)


def test_the_same_seed_gives_the_same_answers():
    chosen = plan({"all": strategy("best_of_n", 8, scoring="last", vote="weighted", prm="judge")})
    assert run(chosen)[1] == run(chosen)[1]


def test_the_summary_says_what_was_spent_and_promised():
    chosen = plan({"all": strategy("majority", 8, vote="majority")})
    _, rows = run(chosen)
    text = summary(rows, chosen)
    assert "6 problems, N = 8: spent 8.0 samples" in text
    assert "expected accuracy 50.0 % (40.0 to 60.0 %)" in text
    assert "6 by majority, vote majority, N = 8" in text
