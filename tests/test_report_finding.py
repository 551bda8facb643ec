"""The finding in words follows the tables, whichever way they point."""

import pandas as pd
import pytest
import synthetic
from testtime.present.report.finding import find, points


def tables(gain: float = 0.0, half: float = 0.05) -> dict[str, pd.DataFrame]:
    return {
        "overtaking": synthetic.overtaking(gain, half),
        "frontier": synthetic.frontier(),
        "accuracy": synthetic.accuracy(),
        "compute_optimal": synthetic.compute_optimal(gain),
    }


def finding(gain: float = 0.0, half: float = 0.05):
    return find(tables(gain, half), synthetic.lookup(), synthetic.POLICIES)


def paragraph(found) -> str:
    return " ".join(found.sentences)


def test_the_smallest_policy_that_reaches_the_largest_is_named_with_its_numbers():
    found = finding()
    rows = synthetic.overtaking().query("large == 'large'").set_index("small")
    small, large = rows.loc["small", ["small_accuracy", "large_accuracy"]]
    assert rows.loc["tiny", "difference"] < 0 < rows.loc["small", "difference"]
    assert found.holds is True
    assert "small with compute-optimal TTS at N = 16 reaches the CoT of large" in found.headline
    assert f"{100 * small:.1f} % against {100 * large:.1f} %" in found.headline
    assert "3.9 times its size" in found.headline


def test_a_finding_that_does_not_hold_is_told_as_plainly():
    found = finding(gain=-0.3)
    assert found.holds is False
    assert "no smaller policy reaches the CoT of large" in found.headline
    assert "the closest is small" in found.headline
    assert "points below it" in paragraph(found)


def test_the_paired_difference_comes_with_its_interval_and_adjusted_p_value():
    row = synthetic.overtaking().query("large == 'large' and small == 'small'").iloc[0]
    text = paragraph(finding())
    assert f"[{points(row.ci_low)}, {points(row.ci_high)}]" in text
    assert f"p = {row.p_adjusted:.2g}, adjusted for 3 comparisons" in text
    assert "chance alone hardly explains" in text


def test_the_compute_of_both_sides_is_compared():
    rows = synthetic.frontier().query("prm == 'any' and budget == 16 or setting == 'CoT'")
    flops = rows.set_index(["policy", "setting"])["flops"]
    ratio = flops["small", "compute-optimal TTS"] / flops["large", "CoT"]
    assert f"spends {ratio:,.3g} times the FLOPs" in paragraph(finding())


def test_a_difference_that_chance_may_explain_is_called_so():
    assert "too few to tell that from chance" in paragraph(finding(half=0.2))


def test_changing_a_number_of_a_table_changes_the_text():
    before, changed = finding(), tables()
    rows = changed["overtaking"]
    rows.loc[(rows["small"] == "small") & (rows["large"] == "large"), "small_accuracy"] = 0.7123
    after = find(changed, synthetic.lookup(), synthetic.POLICIES)
    assert "71.2 %" in after.headline
    assert "71.2 %" not in before.headline

    changed = tables()
    voted = (changed["accuracy"]["method"] == "majority") & (changed["accuracy"]["budget"] == 16)
    changed["accuracy"].loc[voted & (changed["accuracy"]["policy"] == "tiny"), "accuracy"] = 0.987
    after = find(changed, synthetic.lookup(), synthetic.POLICIES)
    assert "above CoT for 0 of 3" in paragraph(before)
    assert "above CoT for 1 of 3" in paragraph(after)
    assert "tiny 98.7 % after 33.0 %" in paragraph(after)


def test_the_spread_of_chosen_methods_counts_contexts_with_problems():
    lookup = synthetic.lookup()
    text = " ".join(find({}, lookup, synthetic.POLICIES).sentences)
    assert "of 18 contexts" in text  # 3 policies × 2 budgets × 3 levels
    assert "Beam search in 6, Best-of-N in 6, Majority in 6" in text
    for context in lookup["contexts"]:
        if context["difficulty"] != "easy":
            context["support"]["n_problems"] = 0
    text = " ".join(find({}, lookup, synthetic.POLICIES).sentences)
    assert "One method is the choice in all 6 contexts: Majority in 6." in text


def test_optimism_is_the_mean_and_the_worst_of_the_free_choice():
    changed = tables()
    rows = changed["compute_optimal"]
    any_prm = rows["prm"] == "any"
    rows.loc[any_prm, "optimism"] = [0.01, 0.01, 0.01, 0.01, 0.01, 0.07]
    text = " ".join(find(changed, synthetic.lookup(), synthetic.POLICIES).sentences)
    assert "by 2.0 points on average, and by 7.0 for large at N = 16" in text


@pytest.mark.parametrize("missing", [{}, {"overtaking": pd.DataFrame()}])
def test_a_study_without_a_comparison_says_what_it_takes(missing):
    found = find(missing, {"contexts": []}, {"tiny": 3e4})
    assert found.holds is None
    assert "takes two policies" in found.headline
    assert found.sentences == ()


def test_every_dataset_has_its_own_verdict():
    both = tables()
    other = synthetic.overtaking(-0.3).assign(dataset="other")
    both["overtaking"] = pd.concat([both["overtaking"], other])
    found = find(both, synthetic.lookup(), synthetic.POLICIES)
    assert "On toy, small" in found.headline
    assert "On other, no smaller policy" in found.headline
    assert found.holds is False
