import json

import numpy as np
import pandas as pd
import pytest
import worlds
from testtime.errors import UserError
from testtime.fit.cells import Settings
from testtime.fit.plans import best_plan, make_plans
from testtime.fit.predict import (
    calibration_table,
    crossfit_predictions,
    fit_predictor,
    predict,
    predicted_difficulty,
    probe_features,
    probe_samples,
)
from testtime.fit.select import fit_study

SETTINGS = Settings(seed=1, folds=4, repeats=2, bootstrap=50)


def samples(rows):
    """problem -> [(answer class, last PRM score), ...]."""
    return pd.DataFrame(
        [
            {"problem_id": problem, "sample": i, "answer_class": c, "tokens": 9, "scores": [0.5, s]}
            for problem, row in rows.items()
            for i, (c, s) in enumerate(row)
        ]
    )


def drawn_world(n=200, seed=0, n_probe=4):
    """Right answers are class 0, wrong ones scatter; the PRM scores right ones higher."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.6, 0.8, n)
    right = rng.random((n, n_probe)) < chance[:, None]
    rows = {
        name: [
            (0 if ok else int(rng.integers(1, 9)), float(np.clip(0.3 + 0.4 * ok, 0, 1)))
            for ok in row
        ]
        for name, row in zip(worlds.problem_ids(n), right, strict=True)
    }
    return samples(rows), chance


def test_agreement_and_entropy_of_a_vote():
    found = probe_features(samples({"a": [(0, 0.9)] * 4, "b": [(i, 0.9) for i in range(4)]}))
    assert found.loc["a", ["entropy", "agreement"]].to_list() == pytest.approx([0, 1])
    assert found.loc["b", ["entropy", "agreement"]].to_list() == pytest.approx([1, 0.25])


def test_samples_without_an_answer_agree_with_nobody():
    found = probe_features(samples({"a": [(-1, 0.9), (-1, 0.9), (0, 0.9), (1, 0.9)]}))
    assert found.loc["a", ["entropy", "agreement", "silent"]].to_list() == pytest.approx(
        [1, 0.25, 0.5]
    )


def test_the_prms_opinion_of_the_leading_answer():
    found = probe_features(samples({"a": [(0, 0.9), (0, 0.7), (1, 0.4), (2, 0.0)]}))
    assert found.loc["a", "prm_leading"] == pytest.approx(1.6 / 2.0)
    assert found.loc["a", "prm_best"] == 0.9


def test_what_is_unknown_of_the_samples_is_no_feature():
    rows = samples({"a": [(0, 0.9)]}).drop(columns="scores").assign(logprob=np.nan)
    assert set(probe_features(rows)) == {"entropy", "agreement", "silent", "log_tokens"}


def test_only_the_first_samples_and_no_verdicts_are_read():
    generations = pd.DataFrame({"problem_id": "a", "sample": range(8), "tokens": 5})
    grades = pd.DataFrame(
        {"method": "pool", "problem_id": "a", "path": range(8), "answer_class": range(8)}
        | {"correct": True}
    )
    found = probe_samples(generations, grades, n_probe=4)
    assert list(found["sample"]) == [0, 1, 2, 3]
    assert "correct" not in found


def test_predictions_are_calibrated_and_tell_hard_from_easy():
    rows, chance = drawn_world()
    features = probe_features(rows)
    found = crossfit_predictions(features, chance, n_folds=5, n_repeats=2, seed=0)
    assert found.mean() == pytest.approx(chance.mean(), abs=0.02)
    assert np.corrcoef(found, chance)[0, 1] > 0.7


def test_a_problem_has_no_say_in_its_own_prediction():
    rows, chance = drawn_world(60)
    features = probe_features(rows)
    before = crossfit_predictions(features, chance, n_folds=60, n_repeats=1, seed=0)
    changed = chance.copy()
    changed[7] = 1 - changed[7]
    after = crossfit_predictions(features, changed, n_folds=60, n_repeats=1, seed=0)
    assert before[7] == pytest.approx(after[7])
    assert not np.allclose(before, after)


def test_a_predictor_is_plain_json():
    rows, chance = drawn_world(80)
    features = probe_features(rows)
    predictor = fit_predictor(features, chance)
    again = json.loads(json.dumps(predictor))
    assert predict(again, features) == pytest.approx(predict(predictor, features))


def test_prediction_is_the_logistic_of_standardised_features():
    features = pd.DataFrame({"agreement": [0.5]}, index=["a"])
    predictor = {
        "features": ["agreement"],
        "mean": [0.25],
        "scale": [0.5],
        "coefficients": [2.0],
        "intercept": -1.0,
    }
    assert predict(predictor, features)[0] == pytest.approx(1 / (1 + np.exp(1 - 2 * 0.5)))


def test_a_missing_feature_is_refused():
    rows, chance = drawn_world(40)
    predictor = fit_predictor(probe_features(rows), chance)
    with pytest.raises(UserError, match="prm_last"):
        predict(predictor, pd.DataFrame({"agreement": [0.5]}))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_policy_that_is_always_or_never_right_is_predicted_so(value):
    rows, _ = drawn_world(40)
    features = probe_features(rows)
    found = predict(fit_predictor(features, np.full(40, value)), features)
    assert found == pytest.approx(np.full(40, value), abs=1e-6)


def predictions(n=60):
    rows, _ = drawn_world(n)
    table = predicted_difficulty(
        probe_features(rows), worlds.study_difficulty(n), n_folds=4, n_repeats=2
    )
    named = [table.assign(dataset="toy", policy="small", prm=p) for p in ("none", "good", "weak")]
    return pd.concat(named, ignore_index=True)


def test_calibration_compares_means_in_equal_bins():
    table = calibration_table(predictions(), n_bins=3)
    first = table[table["prm"] == "good"]
    assert list(first["n_problems"]) == [20, 20, 20]
    assert first["predicted"].is_monotonic_increasing
    assert (first["observed"] * 20).sum() == pytest.approx(np.linspace(0.02, 0.98, 60).sum())


def test_a_study_can_be_fitted_on_predicted_levels():
    fits = fit_study(worlds.study(), predictions(), SETTINGS, binning="predicted_level")
    assert {fit.source for fit in fits} == {"predicted"}
    assert len(fits) == 8


def test_a_plan_with_samples_first_leaves_trees_what_is_left_of_the_budget():
    plans = make_plans(worlds.study(), predictions(), SETTINGS)
    for plan in plans:
        for strategy in plan["choices"].values():
            if plan["n_probe"] and strategy["method"] in ("beam_search", "cot"):
                assert strategy["budget"] + plan["n_probe"] <= plan["budget"]
            assert strategy["budget"] <= plan["budget"]
    probing = [plan for plan in plans if plan["n_probe"]]
    assert {(p["prm"], p["budget"]) for p in probing} == {
        (prm, n) for prm in ("good", "weak", "none") for n in (4, 16)
    }
    assert all(set(p["choices"]) == {"easy", "medium", "hard"} for p in probing)


def test_first_samples_are_paid_for_where_the_strategy_does_not_reuse_them():
    rows = worlds.study()
    beam = rows["method"] == "beam_search"
    rows["correct"] = np.where(beam, 1.0, 0.0)  # so that beam search is chosen
    plans = make_plans(rows, predictions(), SETTINGS)
    plan = next(p for p in plans if (p["prm"], p["budget"], p["n_probe"]) == ("good", 16, 4))
    assert {s["budget"] for s in plan["choices"].values()} == {4}
    assert plan["cost"]["policy_tokens"] == pytest.approx((4 + 4) * worlds.SAMPLE_TOKENS)


def test_rules_that_stop_are_open_to_plans_without_samples_first_alone():
    rows = worlds.study()
    plain = (rows["method"] == "majority") | (rows["method"] == "cot")
    stopping = rows[plain].replace({"method": {"majority": "early_stopping"}})
    plans = make_plans(stopping, predictions(), SETTINGS)
    assert {plan["choices"]["all"]["method"] for plan in plans if not plan["n_probe"]} <= {
        "cot",
        "early_stopping",
    }
    chosen = {s["method"] for p in plans if p["n_probe"] for s in p["choices"].values()}
    assert chosen <= {"cot"}
    never = rows[plain].replace({"method": {"majority": "deepconf_online", "cot": "doubling"}})
    assert all(p["n_probe"] == 0 for p in make_plans(never, predictions(), SETTINGS))


def test_the_best_plan_promises_most_and_else_spends_least():
    dear = {"accuracy": 0.7, "cost": {"flops": 9.0}}
    cheap = {"accuracy": 0.7, "cost": {"flops": 1.0}}
    worse = {"accuracy": 0.6, "cost": {"flops": 0.1}}
    assert best_plan([worse, dear, cheap]) is cheap
