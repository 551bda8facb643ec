"""Outcomes of searches: one tree per budget, or a nested pool of subtrees."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from testtime.errors import UserError
from tiny_pool import NO_SCORES, P, R, evaluate, frames, grade

SUBTREES = [  # answer class, correct, step scores, tokens of policy and PRM
    (0, True, [0.3, 0.9], 100, 50),
    (1, False, [0.8, 0.6], 120, 60),
    (1, False, [0.7, 0.5], 140, 70),
    (-1, False, [0.9, 0.95], 200, 90),
]
BEAMS = {"a": [(0, True, [0.4]), (1, False, [0.9]), (0, True, [0.6])], "b": [(0, False, [0.5])]}


def row(method, budget, problem, path, subtree, steps, policy_tokens, prm_tokens):
    return {
        "method": method,
        "prm": "good",
        "budget": budget,
        "problem_id": problem,
        "path": path,
        "subtree": subtree,
        "scores": steps,
        "tree_policy_tokens": policy_tokens,
        "tree_prm_tokens": prm_tokens,
    }


def dvts():
    rows, grades = [], []
    for problem in ("a", "b"):
        for i, (answer, correct, steps, policy_tokens, prm_tokens) in enumerate(SUBTREES):
            rows.append(row("dvts", 0, problem, 0, i, steps, policy_tokens, prm_tokens))
            grades.append(grade("dvts", "good", 0, problem, i, answer, correct))
    return pd.DataFrame(rows), pd.DataFrame(grades)


def beams(budget):
    rows, grades = [], []
    for problem, paths in BEAMS.items():
        for i, (answer, correct, steps) in enumerate(paths):
            rows.append(row("beam_search", budget, problem, i, 0, steps, 1000 * budget, 500))
            grades.append(grade("beam_search", "good", budget, problem, i, answer, correct))
    return pd.DataFrame(rows), pd.DataFrame(grades)


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
