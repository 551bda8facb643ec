"""Outcomes of searches: one tree per budget, or a nested pool of subtrees."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from testtime.errors import UserError
from testtime.study.vocabulary import ALL_VOTES, VOTES
from tiny_pool import NO_SCORES, P, R, evaluate, frames, grade

SUBTREES = [  # answer class, correct, step scores, tokens of policy and PRM
    (0, True, [0.3, 0.9], 100, 50),
    (1, False, [0.8, 0.6], 120, 60),
    (1, False, [0.7, 0.5], 140, 70),
    (-1, False, [0.9, 0.95], 200, 90),
]
# Finished candidates that a subtree of `SUBTREES`, or a problem of `BEAMS`, pruned.
PRUNED = {
    0: [(2, False, [0.2, 0.8]), (0, True, [0.1, 0.3])],
    1: [],
    2: [(0, True, [0.5, 0.45]), (2, False, [0.5, 0.3]), (2, False, [0.5, 0.4])],
    3: [(0, True, [0.9, 0.7])],
}
PRUNED_BEAMS = {"a": [(1, False, [0.3]), (1, False, [0.2])], "b": []}
BEAMS = {"a": [(0, True, [0.4]), (1, False, [0.9]), (0, True, [0.6])], "b": [(0, False, [0.5])]}


def row(method, budget, problem, path, subtree, steps, policy_tokens, prm_tokens, kept=True):
    return {
        "method": method,
        "prm": "good",
        "budget": budget,
        "problem_id": problem,
        "path": path,
        "subtree": subtree,
        "kept": kept,
        "scores": steps,
        "tree_policy_tokens": policy_tokens,
        "tree_prm_tokens": prm_tokens,
    }


def dvts():
    rows, grades = [], []
    for problem in ("a", "b"):
        for i, (answer, correct, steps, policy_tokens, prm_tokens) in enumerate(SUBTREES):
            rows.append(row("dvts", 0, problem, i, i, steps, policy_tokens, prm_tokens))
            grades.append(grade("dvts", "good", 0, problem, i, answer, correct))
    return pd.DataFrame(rows), pd.DataFrame(grades)


def beams(budget):
    rows, grades = [], []
    for problem, paths in BEAMS.items():
        for i, (answer, correct, steps) in enumerate(paths):
            rows.append(row("beam_search", budget, problem, i, 0, steps, 1000 * budget, 500))
            grades.append(grade("beam_search", "good", budget, problem, i, answer, correct))
    return pd.DataFrame(rows), pd.DataFrame(grades)


def with_pruned(searches, search_grades, method, budget, numbers):
    """Rows of what was pruned too, in the trees of (problem, subtree), numbered after the paths."""
    rows, grades = [], []
    for (problem, subtree), candidates in numbers.items():
        own = searches[(searches["problem_id"] == problem) & (searches["subtree"] == subtree)]
        policy_tokens, prm_tokens = own.iloc[0][["tree_policy_tokens", "tree_prm_tokens"]]
        known = search_grades["problem_id"] == problem
        first = int(known.sum()) + sum(row["problem_id"] == problem for row in rows)
        for i, (answer, correct, steps) in enumerate(candidates, first):
            costs = policy_tokens, prm_tokens
            rows.append(row(method, budget, problem, i, subtree, steps, *costs, kept=False))
            grades.append(grade(method, "good", budget, problem, i, answer, correct))
    return (
        pd.concat([searches, pd.DataFrame(rows)], ignore_index=True),
        pd.concat([search_grades, pd.DataFrame(grades)], ignore_index=True),
    )


def dvts_with_pruned():
    numbers = {(problem, i): own for problem in ("a", "b") for i, own in PRUNED.items()}
    return with_pruned(*dvts(), "dvts", 0, numbers)


def beams_with_pruned(budget):
    numbers = {(problem, 0): own for problem, own in PRUNED_BEAMS.items()}
    return with_pruned(*beams(budget), "beam_search", budget, numbers)


def held(voters, weight):
    """Chance that the vote is right, ties shared, of (class, correct, step scores)."""
    sums, right = {}, {}
    for answer, correct, steps in voters:
        if answer >= 0:
            sums[answer] = sums.get(answer, 0) + weight(steps)
            right[answer] = correct
    most = max(sums.values(), default=0)
    winners = [answer for answer, total in sums.items() if abs(total - most) < 1e-9]
    return float(np.mean([right[answer] for answer in winners])) if winners else 0.0


ALL = {"votes": [*VOTES]}
WEIGHTS = {
    ("none", "majority_all"): lambda steps: 1,
    ("last", "weighted_all"): lambda steps: steps[-1],
    ("min", "weighted_all"): min,
    ("avg", "weighted_all"): np.mean,
}


@pytest.mark.parametrize("how", WEIGHTS)
def test_all_finished_candidates_of_the_drawn_subtrees_vote(how):
    rows = outcomes(*dvts_with_pruned(), **ALL)
    for budget in (2, 4, 8):
        subsets = list(combinations(range(4), budget // 2))
        chances = [
            held([v for i in subset for v in [SUBTREES[i][:3], *PRUNED[i]]], WEIGHTS[how])
            for subset in subsets
        ]
        assert rows.loc[("a", *how, budget), "correct"] == pytest.approx(np.mean(chances))


@pytest.mark.parametrize("how", WEIGHTS)
def test_all_finished_candidates_of_a_beam_search_vote(how):
    rows = outcomes(*beams_with_pruned(4), methods=["beam_search"], search_budgets=[4], **ALL)
    for problem, paths in BEAMS.items():
        expected = held([*paths, *PRUNED_BEAMS[problem]], WEIGHTS[how])
        assert rows.loc[(problem, *how, 4), "correct"] == expected
    # 0.4 + 0.6 against 0.9 alone, and against 0.9 + 0.3 + 0.2
    assert rows.loc[("a", "last", "weighted", 4), "correct"] == 1
    assert rows.loc[("a", "last", "weighted_all", 4), "correct"] == 0


@pytest.mark.parametrize(
    ("method", "pruned", "kept"),
    [("dvts", dvts_with_pruned, dvts), ("beam_search", lambda: beams_with_pruned(4), None)],
)
def test_what_was_pruned_changes_no_other_vote_and_costs_nothing(method, pruned, kept):
    own = {"methods": [method], "search_budgets": [4]}
    rows = outcomes(*pruned(), **own, **ALL).reset_index()
    before = outcomes(*(kept or (lambda: beams(4)))(), **own).reset_index()
    others = rows[~rows["vote"].isin(ALL_VOTES)].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, before)
    for _, costs in rows.groupby("problem_id")[["policy_tokens", "prm_tokens", "flops"]]:
        assert (costs.nunique() == 1).all()


def test_without_pruned_candidates_both_votes_agree():
    rows = outcomes(*dvts(), **ALL).reset_index()
    for one, other in ALL_VOTES.items():
        all_of_them, kept = rows[rows["vote"] == one], rows[rows["vote"] == other]
        assert all_of_them["correct"].tolist() == pytest.approx(kept["correct"].tolist())
        assert all_of_them["run_variance"].tolist() == pytest.approx(
            kept["run_variance"].tolist(), abs=0.05
        )


def test_several_searches_of_a_problem_each_vote_on_their_own():
    searches, grades = beams_with_pruned(4)
    twice = [
        (
            searches.assign(subtree=run, path=searches["path"] + 10 * run),
            grades.assign(path=grades["path"] + 10 * run, correct=grades["correct"] ^ (run == 1)),
        )
        for run in range(2)
    ]
    searches, grades = (pd.concat(parts, ignore_index=True) for parts in zip(*twice, strict=True))
    rows = outcomes(searches, grades, methods=["beam_search"], search_budgets=[4], **ALL)
    found = rows.loc[("a", "last", "weighted_all", 4)]
    assert found["correct"] == 0.5
    assert found["run_variance"] == 0.5


def test_a_pruned_candidate_without_a_grade_is_refused():
    searches, grades = dvts_with_pruned()
    with pytest.raises(UserError, match="dvts with good at N=2: paths without a grade"):
        outcomes(searches, grades.iloc[:-1], **ALL)


def outcomes(searches, search_grades, **changes):
    generations, _, grades = frames()
    rows = evaluate(
        generations,
        NO_SCORES,
        searches.sample(frac=1, random_state=3),
        pd.concat([grades, search_grades.astype({"correct": "boolean"})]),
        **({"methods": ["dvts", "beam_search"], "search_budgets": [2, 4, 8]} | changes),
    )
    return rows.set_index(["problem_id", "scoring", "vote", "budget"]).sort_index()


def test_dvts_is_the_mean_over_all_sets_of_whole_subtrees():
    rows = outcomes(*dvts())
    for budget in (2, 4, 8):
        k = budget // 2
        subsets = list(combinations(SUBTREES, k))
        majority, best, weighted = [], [], []
        for subset in subsets:
            answers = [s for s in subset if s[0] >= 0]
            votes = {c: sum(s[0] == c for s in answers) for c in (0, 1)}
            sums = {c: sum(s[2][-1] for s in answers if s[0] == c) for c in (0, 1)}
            majority.append(
                0.5 if votes[0] == votes[1] and votes[0] else float(votes[0] > votes[1])
            )
            weighted.append(float(sums[0] > sums[1]))
            best.append(bool(answers) and max(answers, key=lambda s: s[2][-1])[1])
        assert rows.loc[("a", "none", "majority", budget), "correct"] == pytest.approx(
            np.mean(majority)
        )
        assert rows.loc[("a", "last", "weighted", budget), "correct"] == pytest.approx(
            np.mean(weighted)
        )
        found = rows.loc[("a", "last", "max", budget)]
        assert found["correct"] == pytest.approx(np.mean(best))
        assert found["policy_tokens"] == pytest.approx(k * 140)
        assert found["prm_tokens"] == pytest.approx(k * 67.5)
        assert found["flops"] == pytest.approx(2 * P * k * 140 + 2 * R * k * 67.5)


def test_beam_search_is_one_draw_whose_paths_vote_once():
    rows = outcomes(*beams(4), methods=["beam_search"], search_budgets=[4])
    assert rows.loc[("a", "none", "majority", 4), "correct"] == 1  # two paths of three
    assert rows.loc[("a", "last", "max", 4), "correct"] == 0
    assert rows.loc[("a", "last", "weighted", 4), "correct"] == 1  # 0.4 + 0.6 against 0.9
    assert rows.loc[("b", "last", "max", 4), "correct"] == 0
    assert (rows["policy_tokens"] == 4000).all()
    assert (rows["prm_tokens"] == 500).all()


def test_each_budget_of_beam_search_is_its_own_run():
    parts = [beams(budget) for budget in (2, 4)]
    searches, grades = (pd.concat(frames_) for frames_ in zip(*parts, strict=True))
    grades.loc[grades["budget"] == 2, "correct"] = False
    rows = outcomes(searches, grades, methods=["beam_search"], search_budgets=[2, 4])
    assert rows.loc[("a", "none", "majority", 2), "correct"] == 0
    assert rows.loc[("a", "none", "majority", 4), "correct"] == 1


def test_a_budget_that_was_not_searched_is_refused():
    with pytest.raises(UserError, match=r"dvts with good at N=16: 8 subtrees are needed, 4 were"):
        outcomes(*dvts(), search_budgets=[16])
    with pytest.raises(UserError, match=r"beam_search with good at N=16: 0 problems were searched"):
        outcomes(*beams(4), methods=["beam_search"], search_budgets=[16])


def test_a_path_without_a_grade_is_refused():
    searches, grades = beams(4)
    with pytest.raises(UserError, match="paths without a grade"):
        outcomes(searches, grades.head(2), methods=["beam_search"], search_budgets=[4])
