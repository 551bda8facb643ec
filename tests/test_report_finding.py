"""The finding in words follows the tables, whichever way they point."""

import numpy as np
import pandas as pd
import pytest
import synthetic
import worlds
from testtime.compare.overtaking import (
    Claim,
    equal_flops_table,
    overtaking_table,
    thresholds_table,
)
from testtime.evaluate.tables import accuracy_table
from testtime.fit.cells import Settings
from testtime.fit.lookup import lookup
from testtime.fit.select import binning_table, compute_optimal_table, fit_study
from testtime.present.report.finding import find, points
from testtime.study.catalog import PolicySpec


def tables(gain: float = 0.0, half: float = 0.05) -> dict[str, pd.DataFrame]:
    return {
        "overtaking": synthetic.overtaking(gain, half),
        "equal_flops": synthetic.equal_flops(gain, half),
        "thresholds": synthetic.thresholds(gain, half),
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
    row = synthetic.overtaking().query("large == 'large' and small == 'small'").iloc[0]
    ratio = row["small_flops"] / row["large_flops"]
    assert f"spends {ratio:,.3g} times the FLOPs" in paragraph(finding())


@pytest.mark.parametrize(
    ("gain", "half", "said"),
    [
        (0.0, 0.05, "small, 3.9 times smaller, passes it too"),
        (0.0, 0.2, "the closest, small, 3.9 times smaller, cannot be told from it"),
        (-0.3, 0.05, "the closest, small, 3.9 times smaller, falls short of it"),
    ],
)
def test_what_equal_flops_allow_to_say_is_said(gain, half, said):
    changed = tables() | {"equal_flops": synthetic.equal_flops(gain, half)}
    text = paragraph(find(changed, synthetic.lookup(), synthetic.POLICIES))
    assert f"With no more FLOPs than that CoT takes, {said if 'passes' in said else ''}" in text
    assert said in text
    row = changed["equal_flops"].query("large == 'large' and small == 'small'").iloc[0]
    assert f"[{points(row.ci_low)}, {points(row.ci_high)}]" in text


def test_equal_flops_of_another_policy_or_dataset_are_not_told_as_the_headlines():
    for column in ("large", "dataset"):
        changed = tables()
        changed["equal_flops"] = changed["equal_flops"].assign(**{column: "other"})
        text = paragraph(find(changed, synthetic.lookup(), synthetic.POLICIES))
        assert "passes it too" not in text
        assert "Nothing that a smaller policy can do is as cheap" in text
    del changed["equal_flops"]
    text = paragraph(find(changed, synthetic.lookup(), synthetic.POLICIES))
    assert "as cheap" not in text


def test_nothing_so_cheap_is_said_too():
    changed = tables()
    changed["equal_flops"] = changed["equal_flops"].iloc[:0]
    text = paragraph(find(changed, synthetic.lookup(), synthetic.POLICIES))
    assert "Nothing that a smaller policy can do is as cheap as that CoT" in text


def test_what_another_run_would_change_is_told_where_it_is_known():
    assert "change the difference by 1.2 points" in paragraph(finding())
    changed = tables()
    changed["overtaking"]["run_sd"] = np.nan
    text = paragraph(find(changed, synthetic.lookup(), synthetic.POLICIES))
    assert "other samples" not in text


def test_other_thresholds_keep_the_verdict_or_are_said_to_change_it():
    assert "which moves 11 and 7 of 200 problems" in paragraph(finding())
    assert "the verdict stays" in paragraph(finding())
    changed = tables()
    moved = changed["thresholds"]
    moved.loc[moved["n_moved"] == 7, "verdict"] = "cannot be told from"
    text = paragraph(find(changed, synthetic.lookup(), synthetic.POLICIES))
    assert "the verdict becomes: cannot be told from" in text


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
    assert "With one strategy for all problems it would reach 63.0 %" in text
    assert "with one per level of difficulty 60.0 %" in text
    assert f"({points(-0.03)} points [{points(-0.05)}, {points(-0.01)}])" in text
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


# Simulated studies, through the tables' own code, and what the finding makes of them.

LEVELS = ("easy", "medium", "hard")
WAYS = (("majority", "majority"), ("best_of_n", "max"), ("best_of_n", "weighted"), ("dvts", "max"))
SETTINGS = Settings(seed=1, folds=5, repeats=4, bootstrap=100)
SIZES = {"small": 1e6, "large": 8e6}


def simulated(n, *, gains=None, small=0.0, seed=0):
    """Tables of a study of a small and a large policy, each with CoT and four ways of equal cost.

    Args:
        n: problems.
        gains: way -> level -> by how much it is right more often; by default all are alike.
        small: how much more often the small policy's ways are right than the large one's CoT.
        seed: of the outcomes.
    """
    rng = np.random.default_rng(seed)
    chance, rows, difficulty = np.linspace(0.02, 0.9, n), [], []
    for policy in SIZES:
        names = {"dataset": "toy", "policy": policy}
        difficulty.append(worlds.difficulty(chance, **names))
        level = difficulty[-1]["level"]
        right = (rng.random(n) < chance).astype(float)
        rows.append(worlds.outcome(right, method="cot", **names))
        for way in WAYS:
            own = level.map((gains or {}).get(way, dict.fromkeys(LEVELS, 0.0))).to_numpy()
            right = (rng.random(n) < chance + small + own).astype(float)
            prm = {} if way[0] == "majority" else {"prm": "good", "scoring": "last"}
            kind = {"method": way[0], "vote": way[1], "budget": 4} | prm
            rows.append(worlds.outcome(right, **kind, **names))
    outcomes, difficulty = pd.concat(rows), pd.concat(difficulty)
    outcomes.loc[outcomes["policy"] == "large", "flops"] *= 8
    fits = {
        binning: fit_study(outcomes, difficulty, SETTINGS, binning=binning)
        for binning in ("all", "level", "chosen")
    }
    specs = {name: PolicySpec(name, size) for name, size in SIZES.items()}
    claim = (specs, SETTINGS, Claim())
    return {
        "overtaking": overtaking_table(fits["chosen"], outcomes, *claim),
        "equal_flops": equal_flops_table(outcomes, difficulty, *claim),
        "thresholds": thresholds_table(outcomes, difficulty, *claim, {"easy": 0.5, "hard": 0.1}),
        "accuracy": accuracy_table(outcomes, difficulty),
        "compute_optimal": compute_optimal_table(fits["chosen"]),
        "binnings": binning_table([fit for some in fits.values() for fit in some]),
        "lookup": lookup(
            [*fits["all"], *fits["chosen"]], SETTINGS, study="toy", difficulty={"samples": 64}
        ),
    }


def told(found):
    """The headline and the paragraph of simulated tables."""
    result = find(found, found["lookup"], SIZES)
    return result, " ".join([result.headline, *result.sentences])


@pytest.mark.parametrize("seed", range(4))
def test_thirty_problems_of_equal_policies_claim_nothing(seed):
    found = simulated(30, seed=seed)
    result, text = told(found)
    (row,) = found["overtaking"].to_dict("records")
    assert result.holds is (row["ci_low"] > 0)
    assert result.holds is False
    assert "passes" not in text
    assert "of 30 problems" in result.headline
    assert f"[{points(row['ci_low'])}, {points(row['ci_high'])}]" in text
    assert row["detectable"] > 0.2, "thirty problems show only large differences"
    assert f"a difference of {100 * row['detectable']:.1f} points in 8 of 10" in text


def test_where_a_small_policy_is_better_it_passes_and_the_numbers_are_the_tables():
    found = simulated(300, small=0.2)
    result, text = told(found)
    row = found["overtaking"].iloc[0]
    assert result.holds is True
    assert (
        f"{100 * row['small_accuracy']:.1f} % against {100 * row['large_accuracy']:.1f} %" in text
    )
    assert "small, 8 times smaller, passes it too" in text, "its four samples cost no more"
    assert "the verdict stays" in text


def test_where_nothing_passes_nothing_is_said_to():
    found = simulated(300, small=-0.15)
    result, text = told(found)
    assert result.holds is False
    assert f"{found['overtaking']['verdict'].item()} it" in result.headline
    assert "passes" not in text
    assert "With no more FLOPs than that CoT takes, no smaller policy is shown to pass it" in text


def test_where_levels_matter_or_harm_the_lookup_and_the_finding_follow():
    own = dict(zip(LEVELS, WAYS[1:], strict=True))
    helpful = {way: {level: 0.3 * (own[level] == way) for level in LEVELS} for way in WAYS[1:]}
    shared = {WAYS[1]: dict.fromkeys(LEVELS, 0.06)}
    for gains, pays in ((helpful, True), (shared, False)):
        found = simulated(400, gains=gains)
        _, text = told(found)
        level = found["binnings"].query("policy == 'small' and prm == 'any' and binning == 'level'")
        assert f"with one per level of difficulty {100 * level['accuracy'].item():.1f} %" in text
        assert (level["gain_low"].item() > 0) is pays
        contexts = [
            entry
            for entry in found["lookup"]["contexts"]
            if entry["policy"] == "small"
            and entry["prm"] == "any"
            and entry["difficulty"] in LEVELS
        ]
        assert {entry["support"]["per_bin"] for entry in contexts} == {pays}
        assert len({tuple(entry["strategy"].values()) for entry in contexts}) == (3 if pays else 1)
