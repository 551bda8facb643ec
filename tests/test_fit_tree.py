import numpy as np
import pandas as pd
import pytest
import worlds
from testtime.fit.cells import Settings
from testtime.fit.select import fit_study
from testtime.fit.tree import choose, fit_tree, render, tree_contexts

SETTINGS = Settings(seed=1, folds=4, repeats=1, bootstrap=20)


def contexts(rule, policies=("a", "b", "c")):
    """Contexts whose best method is `rule(budget, difficulty)`."""
    rows = []
    for i, policy in enumerate(policies):
        for budget in (4, 16, 64):
            for difficulty in range(3):
                best = rule(budget, difficulty)
                means = {(m, "none", "none"): float(m == best) for m in ("cot", "dvts", "majority")}
                rows.append(
                    {"policy": policy, "n_problems": 50, "log10_parameters": 6.0 + i}
                    | {"prm_quality": 0.8, "log2_budget": np.log2(budget)}
                    | {"difficulty": difficulty, "method": best, "scoring": "none"}
                    | {"vote": "none", "means": means}
                )
    return pd.DataFrame(rows)


def easy_cot(budget, difficulty):
    if difficulty == 0:
        return "cot"
    return "majority" if budget < 10 else "dvts"


def test_a_simple_rule_is_found_and_costs_nothing():
    table = contexts(easy_cot)
    tree = fit_tree(table)
    for row in table.to_dict("records"):
        assert choose(tree["nodes"], row)["method"] == row["method"]
    assert tree["regret"] == 0
    assert tree["regret_unseen"] == 0, "the rule is the same for every policy"


def test_it_reads_in_the_words_of_the_field():
    text = fit_tree(contexts(easy_cot))["text"]
    assert "if problem is easy:" in text
    assert "if problem is medium or hard:" in text
    assert "if budget is below 8:" in text
    assert "cot  (100% of 9 contexts)" in text


def test_one_best_method_needs_no_question():
    assert "feature" not in fit_tree(contexts(lambda *_: "dvts"))["nodes"]


def test_following_the_wrong_advice_costs_what_is_lost():
    """Two policies want opposite things at equal features, and cannot be told apart."""
    one, two = contexts(lambda *_: "cot", ["a"]), contexts(lambda *_: "dvts", ["b"])
    two["log10_parameters"] = 6.0
    tree = fit_tree(pd.concat([one, two], ignore_index=True))
    assert tree["regret"] == pytest.approx(0.5)
    assert tree["regret_unseen"] == pytest.approx(1.0)


def test_contexts_of_a_study_leave_out_any_and_none():
    fits = fit_study(worlds.study(), worlds.study_difficulty(), SETTINGS)
    table = tree_contexts(fits, {"small": 1e6}, {"good": 0.9, "weak": 0.7})
    assert len(table) == 2 * 2 * 3
    assert set(table["prm_quality"]) == {0.9, 0.7}
    assert set(table["log2_budget"]) == {2.0, 4.0}
    tree = fit_tree(table)
    assert tree["regret"] >= 0
    assert tree["regret_unseen"] is None, "there is only one policy"
    assert render(tree["nodes"]) == tree["text"]
