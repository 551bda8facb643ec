"""The finding in words follows the tables, whichever way they point."""

import numpy as np
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


def test_the_smallest_policy_that_passes_the_largest_is_named_with_its_numbers():
    found = finding()
    rows = synthetic.overtaking().query("large == 'large'").set_index("small")
    small, large = rows.loc["small", ["small_accuracy", "large_accuracy"]]
    assert rows.loc["tiny", "difference"] < 0 < rows.loc["small", "difference"]
    assert found.holds is True
    assert "small with compute-optimal TTS at N up to 16 passes the CoT of large" in found.headline
    assert f"{100 * small:.1f} % against {100 * large:.1f} %" in found.headline
    assert "3.9 times its size" in found.headline


def test_a_finding_that_does_not_hold_is_told_as_plainly():
    found = finding(gain=-0.3)
    assert found.holds is False
    assert "no smaller policy is shown to pass the CoT of large" in found.headline
    assert "the closest, small" in found.headline
    assert "falls short of it" in found.headline


def test_a_larger_mean_that_chance_may_explain_passes_nothing():
    found = finding(half=0.2)
    assert found.holds is False
    assert "passes" not in found.headline
    assert "cannot be told from it" in found.headline


def test_not_worse_is_said_where_the_interval_ends_within_the_margin():
    changed = tables()
    rows = changed["overtaking"]
    rows["verdict"] = "not worse"
    found = find(changed, synthetic.lookup(), synthetic.POLICIES)
    assert "is not worse than the CoT of large" in found.headline
    assert "tiny with" in found.headline  # the smallest of them
    assert found.holds is False


def test_the_paired_difference_comes_with_its_interval_p_value_and_power():
    row = synthetic.overtaking().query("large == 'large' and small == 'small'").iloc[0]
    text = paragraph(finding())
    assert f"[{points(row.ci_low)}, {points(row.ci_high)}]" in text
    assert f"p = {row.p_adjusted:.2g}, adjusted for 2 primary comparisons" in text
    assert f"a difference of {100 * row.detectable:.1f} points in 8 of 10" in text


def test_a_tiny_p_value_is_not_told_from_another():
    changed = tables()
    changed["overtaking"]["p_adjusted"] = 1e-12
    text = paragraph(find(changed, synthetic.lookup(), synthetic.POLICIES))
    assert "p below 1e-06" in text


def test_the_compute_of_both_sides_is_compared():
    rows = synthetic.frontier().query("prm == 'any' and budget == 16 or setting == 'CoT'")
    flops = rows.set_index(["policy", "setting"])["flops"]
    ratio = flops["small", "compute-optimal TTS"] / flops["large", "CoT"]
    assert f"spends {ratio:,.3g} times the FLOPs" in paragraph(finding())


def test_the_best_with_no_more_flops_is_told_or_that_there_is_none():
    changed = tables() | {"by_cost": synthetic.by_cost()}
    chain = synthetic.frontier().query("setting == 'CoT' and policy == 'large'")["flops"].item()
    costs = changed["by_cost"]
    own = (costs["axis"] == "flops") & (costs["policy"] == "small")
    costs.loc[own, "budget"] = np.where(costs.loc[own, "budget"].rank() == 1, chain, 9 * chain)
    best = costs.loc[own & (costs["budget"] == chain), "accuracy"].item()
    text = paragraph(find(changed, synthetic.lookup(), synthetic.POLICIES))
    assert f"With no more FLOPs than that CoT it answers {100 * best:.1f} %" in text
    costs.loc[own, "budget"] = 9 * chain
    text = paragraph(find(changed, synthetic.lookup(), synthetic.POLICIES))
    assert "Nothing that small can do is as cheap as that CoT" in text


def counter_evidence(gain, low, high):
    """Tables where choosing by level gains this much for the policy that is named."""
    base = {"dataset": synthetic.DATASET, "policy": "small", "prm": "any", "budget": 16}
    by_level = base | {"binning": "level", "accuracy": 0.6}
    by_level |= {"gain": gain, "gain_low": low, "gain_high": high}
    predicted = base | {"binning": "predicted_level", "accuracy": 0.55}
    one = base | {"binning": "all", "accuracy": 0.6 - gain}
    transfer = base | {"accuracy": 0.58}
    return {
        "binnings": pd.DataFrame([by_level, predicted, one]),
        "transfer": pd.DataFrame([transfer]),
    }


def test_a_claim_about_a_policy_that_none_is_smaller_than_compares_nothing():
    changed = tables()
    changed["overtaking"]["primary"] = False
    found = find(changed, synthetic.lookup(), synthetic.POLICIES)
    assert found.holds is None
    assert "compares no small policy" in found.headline


def test_what_speaks_against_choosing_by_level_is_said():
    changed = tables() | counter_evidence(-0.03, -0.05, -0.01)
    text = paragraph(find(changed, synthetic.lookup(), synthetic.POLICIES))
    assert "One strategy for all problems would reach 63.0 %" in text
    assert f"is worth {points(-0.03)} points [{points(-0.05)}, {points(-0.01)}]" in text
    assert "better in 0 and worse in 1 than one strategy for all" in text
    assert "predicted without them it reaches 55.0 %" in text
    assert "chosen on the other policies it reaches 58.0 %" in text


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


def test_several_datasets_have_one_verdict_and_each_alone_is_exploratory():
    both = tables()
    other = synthetic.overtaking(-0.3).assign(dataset="other")
    whole = synthetic.overtaking(-0.1).assign(dataset="all")
    alone = pd.concat([both["overtaking"], other]).assign(primary=False)
    both["overtaking"] = pd.concat([alone, whole])
    found = find(both, synthetic.lookup(), synthetic.POLICIES)
    assert "On all datasets together" in found.headline
    assert "which is exploratory" in paragraph(found)
    assert "toy " in paragraph(found)
    assert "other " in paragraph(found)
