"""What enters the figures: which rows are chosen, in which order, with which numbers."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from synthetic import figure_data
from testtime.compare.prm_worth import best_prm
from testtime.data.store import read_csv, read_json, write_csv
from testtime.errors import UserError
from testtime.present.figures.looks import LOOKS, count, look
from testtime.present.figures.rows import by_size, in_order, one_line_per_method
from testtime.present.figures.small_vs_large import PUBLISHED
from testtime.study.blocks import headline_budget
from testtime.study.methods import rules
from testtime.study.vocabulary import MAJORITY


def by_budget(prms=synthetic.PRMS) -> pd.DataFrame:
    accuracy = synthetic.accuracy()
    accuracy = accuracy[accuracy["prm"].isin([*prms, "none"])]
    return figure_data("accuracy_by_budget", accuracy=accuracy, prms=list(prms))


def test_each_method_has_one_line_per_policy_and_prm():
    data = by_budget()
    lines = data.groupby(["policy", "prm", "method"])["budget"]
    assert not lines.apply(lambda budgets: budgets.duplicated().any()).any()


def test_lines_without_a_prm_are_the_same_in_every_panel():
    data = by_budget().query("method == 'majority'")
    weak, good = (data[data["prm"] == prm].drop(columns="prm") for prm in synthetic.PRMS)
    pd.testing.assert_frame_equal(weak.reset_index(drop=True), good.reset_index(drop=True))


def test_the_configured_scoring_and_vote_are_drawn_where_a_method_has_them():
    data = by_budget().query("method == 'best_of_n'")
    assert set(data[["scoring", "vote"]].itertuples(index=False, name=None)) == {
        ("last", "weighted")
    }


def test_a_method_without_the_configured_pair_keeps_one_of_its_own():
    rows = pd.DataFrame(
        {"method": "confidence", "scoring": ["avg", "min"], "vote": "weighted", "budget": 4}
    )
    assert list(one_line_per_method(rows, "last", "weighted")["scoring"]) == ["avg"]


def test_pass_at_n_stands_at_the_budgets_of_the_study_only():
    data = by_budget().query("method == 'pass_at_n'")
    assert sorted(data["budget"].unique()) == synthetic.POOL


def test_a_study_without_prms_still_has_lines():
    data = by_budget(prms=())
    assert set(data["prm"]) == {"none"}
    assert {"cot", "majority", "pass_at_n"} <= set(data["method"])


def test_policies_run_from_small_to_large():
    assert by_size({"b": 2.0, "a": 1.0, "c": 2.0}) == ["a", "b", "c"]
    assert list(by_budget()["policy"].drop_duplicates()) == ["tiny", "small", "large"]


def test_ordering_rows_neither_loses_nor_repeats_any():
    rows = pd.DataFrame({"x": ["b", "a", "b", "z"], "n": range(4)}, index=[0, 0, 1, 1])
    assert list(in_order(rows, "x", ["b", "a"])["n"]) == [0, 2, 1, 3]


def test_difficulty_marks_one_prm_to_draw_and_keeps_all():
    data = figure_data("accuracy_by_difficulty")  # good-prm judges steps best
    assert set(data.loc[data["shown"], "prm"]) == {"good-prm"}
    assert set(data["prm"]) == set(synthetic.PRMS)
    assert list(data["difficulty"].drop_duplicates()) == ["easy", "medium", "hard"]


def test_the_prm_shown_alone_is_the_best_at_judging_steps():
    quality = pd.DataFrame({"prm": ["a", "b", "b"], "f1": [0.5, 0.9, 0.7]})
    assert best_prm(quality, ["b", "a"]) == "b"
    assert best_prm(quality.assign(f1=[0.9, 0.5, 0.5]), ["b", "a"]) == "a"


@pytest.mark.parametrize("quality", [None, pd.DataFrame(), pd.DataFrame({"prm": [], "f1": []})])
def test_without_a_measurement_the_last_prm_of_the_study_is_shown(quality):
    assert best_prm(quality, ["a", "b"]) == "b"
    assert best_prm(quality, []) is None


def test_in_sample_accuracy_is_the_cross_fitted_one_plus_its_optimism():
    data = figure_data("compute_optimal_curve")
    keys = ["policy", "budget"]
    fitted, judged = (
        data[data["method"] == method].set_index(keys)["accuracy"]
        for method in ("compute_optimal", "in_sample")
    )
    np.testing.assert_allclose(judged - fitted, 0.015)
    assert set(data.loc[data["method"] == "best_of_n", "prm"]) == {"good-prm"}


def test_by_cost_every_policy_has_its_cot_and_what_was_spent_on_tts():
    data = figure_data("accuracy_by_cost")
    tiny = data[data["policy"] == "tiny"].set_index(["axis", "setting"])["cost"].sort_index()
    size = synthetic.POLICIES["tiny"]
    assert tiny["flops", "CoT"] == 2 * size * 40
    spent = [2 * size * 40 * n for n in synthetic.POOL]
    assert list(tiny["flops", "compute-optimal TTS"]) == spent
    waited = [0.4 + 4e-3 * n for n in synthetic.POOL]
    assert list(tiny["latency_s", "compute-optimal TTS"]) == waited


def test_costs_that_are_not_known_are_not_drawn():
    accuracy = synthetic.accuracy().assign(latency_s=np.nan)
    by_cost = synthetic.by_cost().query("axis == 'flops'")
    assert set(figure_data("accuracy_by_cost", by_cost=by_cost, accuracy=accuracy)["axis"]) == {
        "flops"
    }
    accuracy, none = accuracy.assign(flops=np.nan), by_cost.iloc[:0]
    assert figure_data("accuracy_by_cost", by_cost=none, accuracy=accuracy).empty


def test_pass_at_1_bins_count_every_problem_once():
    difficulty = pd.DataFrame(
        {
            "dataset": "toy",
            "policy": "tiny",
            "pass_at_1": [0.0, 0.1, 0.2, 0.2, 0.55, 1.0],
            "quantile": ["q3", "q3", "q2", "q2", "q1", "q1"],
        }
    )
    data = figure_data("pass_at_1_distribution", difficulty=difficulty)
    bins = data[data["kind"] == "bin"]
    assert list(bins["n_problems"]) == [2, 2, 1, 0, 1]  # [0, 0.2), [0.2, 0.4), ..., [0.8, 1]
    assert bins["share"].sum() == pytest.approx(1)
    spans = data[data["kind"] == "quantile"].set_index("name")
    assert tuple(spans.loc["q2", ["low", "high"]]) == (0.2, 0.2)


def test_small_against_large_has_cot_and_every_budget_of_the_free_choice():
    data = figure_data("small_vs_large")
    tiny = data[data["policy"] == "tiny"]
    assert list(tiny["setting"]) == ["CoT", "compute-optimal TTS", "compute-optimal TTS"]
    assert list(tiny["budget"]) == [1, 4, 16]


def test_published_values_stand_apart_and_only_for_the_same_models():
    frontier = synthetic.frontier().assign(dataset="math500")
    frontier["policy"] = frontier["policy"].replace("small", "qwen2.5-7b-instruct")
    policies = {"tiny": 1.0, "qwen2.5-7b-instruct": 7.6e9, "large": 9e9}
    data = figure_data("small_vs_large", frontier=frontier, policies=policies)
    theirs = data[data["source"] == PUBLISHED]
    assert set(theirs["policy"]) == {"qwen2.5-7b-instruct"}
    values = theirs.set_index("setting")["accuracy"]
    assert values["CoT"] == pytest.approx(0.768)  # table 5 of the reproduced study
    assert values["compute-optimal TTS"] == pytest.approx(0.910)


def test_a_log_curve_takes_three_prms():
    quality, best = synthetic.prm_quality(), synthetic.compute_optimal()
    assert figure_data("prm_quality")["slope"].isna().all()

    third = best[best["prm"] == "good-prm"].assign(prm="mid-prm")
    better = quality[quality["prm"] == "good-prm"].assign(prm="mid-prm", f1=0.6)
    rows = pd.concat([best, third], ignore_index=True)
    x = {"weak-prm": 0.52, "mid-prm": 0.6, "good-prm": 0.81}
    line = rows["prm"].map(x)
    rows["accuracy"] = (7.66 * np.log(100 * line) + 44.31).div(100).fillna(rows["accuracy"])
    prms = ["weak-prm", "mid-prm", "good-prm"]
    quality = pd.concat([quality, better])
    data = figure_data("prm_quality", compute_optimal=rows, prm_quality=quality, prms=prms)
    np.testing.assert_allclose(data["slope"], 7.66)
    np.testing.assert_allclose(data["intercept"], 44.31)


def test_quality_without_step_labels_gives_no_points():
    assert figure_data("prm_quality", prm_quality=pd.DataFrame()).empty


def test_the_heat_map_has_one_cell_per_policy_level_and_budget():
    data = figure_data("lookup_heatmap")
    assert not data.duplicated(["policy", "difficulty", "budget"]).any()
    assert len(data) == 3 * 3 * 2
    assert data["agreement"].iloc[0] == pytest.approx(41 / 50)


def test_trees_of_the_diagram_keep_the_best_candidates():
    data = figure_data("methods_diagram")
    for method, size in (("beam_search", 4), ("dvts", 2)):
        tree = data[(data["method"] == method) & (data["depth"] > 0)]
        for _, step in tree.groupby("depth"):
            scores = step["score"].to_numpy().reshape(-1, size)
            kept = (step["state"] != "pruned").to_numpy().reshape(-1, size)
            assert kept.sum(axis=1).tolist() == [size // 2] * len(scores)
            for group, chosen in zip(scores, kept, strict=True):
                assert group[chosen].min() >= group[~chosen].max()


@pytest.mark.parametrize(
    ("budgets", "expected"),
    [
        ({"pool": [4, 16, 64, 256], "search": [4, 16, 64]}, 64),
        ({"pool": [4, 16], "search": []}, 16),
        ({"pool": [5], "search": [4, 8]}, 5),
    ],
)
def test_one_budget_figures_show_the_largest_that_all_methods_have(budgets, expected):
    assert headline_budget(budgets) == expected


@pytest.mark.parametrize(
    ("n", "text"),
    [(427_000, "427k"), (1.24e9, "1.2B"), (4.05e11, "405B"), (1e9, "1B"), (999, "999")],
)
def test_sizes_read_in_few_characters(n, text):
    assert count(n) == text


def test_methods_keep_their_colour_and_unknown_ones_get_a_fixed_one():
    shown = [style for name, style in LOOKS.items() if name not in ("in_sample", *rules())]
    assert len({style.color for style in shown}) == len(shown)
    stopping = [LOOKS[name] for name in (MAJORITY, *rules(stopping=True))]
    assert len({style.color for style in stopping}) == len(stopping)
    assert look("my_method") == look("my_method")
    assert look("my_method").label == "My method"


def test_a_table_reads_back_as_written(tmp_path):
    rows = pd.DataFrame({"policy": ["NA", "null"], "prm": ["none", "None"], "x": [0.25, np.nan]})
    write_csv(rows, tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read_csv(tmp_path / "t.csv"), rows, check_dtype=False)


def test_an_empty_table_is_no_error_but_a_missing_one_is(tmp_path):
    write_csv(pd.DataFrame(), tmp_path / "t.csv")
    assert read_csv(tmp_path / "t.csv").empty
    with pytest.raises(UserError, match=r"no such file: .*missing\.csv"):
        read_csv(tmp_path / "missing.csv")


def test_json_that_is_missing_or_cut_short_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no such file: .*lookup\.json"):
        read_json(tmp_path / "lookup.json")
    (tmp_path / "lookup.json").write_text('{"contexts": [')
    with pytest.raises(UserError, match=r"lookup\.json is not whole JSON .*delete it"):
        read_json(tmp_path / "lookup.json")
