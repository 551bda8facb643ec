import json

import numpy as np
import pytest
import worlds
from testtime.data.store import write_json
from testtime.errors import UserError
from testtime.fit.cells import Settings
from testtime.fit.lookup import find, level_of, load, lookup
from testtime.fit.select import fit_study
from testtime.study.catalog import PolicySpec, PrmSpec

SETTINGS = Settings(seed=1, folds=4, repeats=3, bootstrap=100)
DIFFICULTY = {"samples": 64, "easy": 0.5, "hard": 0.1, "quantiles": 5}


def make_lookup(**kwargs):
    rows, difficulty = worlds.study(), worlds.study_difficulty()
    fits = [
        fit
        for binning in ("all", "level", "quantile")
        for fit in fit_study(rows, difficulty, SETTINGS, binning=binning)
    ]
    return lookup(
        fits,
        SETTINGS,
        study="toy study",
        difficulty=DIFFICULTY,
        policies=[PolicySpec(name="small", parameters=1e6)],
        prms=[PrmSpec(name="good", parameters=1e6), PrmSpec(name="weak", parameters=1e6)],
        prm_quality={"good": 0.9},
        **kwargs,
    )


@pytest.fixture(scope="module")
def table():
    return make_lookup()


def test_every_context_has_an_entry(table):
    keys = {(c["prm"], c["budget"], c["difficulty"]) for c in table["contexts"]}
    difficulties = ["all", "easy", "medium", "hard", *(f"q{i}" for i in range(1, 6))]
    assert keys == {
        (prm, n, d)
        for prm in ("good", "weak", "none", "any")
        for n in (4, 16)
        for d in difficulties
    }
    assert len(table["contexts"]) == len(keys)


def test_an_entry_names_strategy_accuracy_interval_and_support(table):
    entry = find(table, policy="small", prm="good", budget=16, difficulty="medium")
    assert set(entry["strategy"]) == {"method", "scoring", "vote", "prm", "thinking", "budget"}
    assert entry["ci_low"] <= entry["accuracy"] <= entry["ci_high"]
    chance = np.linspace(0.02, 0.98, 60)
    assert entry["support"]["n_problems"] == ((chance >= 0.1) & (chance < 0.5)).sum()
    assert entry["support"]["folds"] == 4 * 3
    assert 0 <= entry["support"]["folds_agreeing"] <= 12


def test_it_says_what_it_was_fitted_on(table):
    fitted = table["fitted_on"]
    assert fitted["problems"] == {"toy": 60}
    assert fitted["difficulty"]["easy"] == 0.5
    assert fitted["difficulty"]["source"] == {"toy/small": "held-out"}
    assert (fitted["seed"], fitted["folds"], fitted["repeats"]) == (1, 4, 3)
    assert table["prms"]["good"]["quality"] == 0.9
    assert table["prms"]["weak"]["quality"] is None


def test_equal_studies_give_equal_bytes(tmp_path):
    for name in ("a.json", "b.json"):
        write_json(make_lookup(), tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_it_survives_writing_and_reading_as_strict_json(table, tmp_path):
    path = tmp_path / "lookup.json"
    write_json(table, path)
    assert load(path) == table
    assert "NaN" not in path.read_text()


def test_a_difficulty_that_no_problem_had_is_answered_by_the_choice_over_all():
    rows, difficulty = worlds.study(), worlds.difficulty(np.full(60, 0.3))
    fits = fit_study(rows, difficulty, SETTINGS)
    table = lookup(fits, SETTINGS, study="toy", difficulty=DIFFICULTY)
    easy = find(table, policy="small", prm="good", budget=4, difficulty="easy")
    medium = find(table, policy="small", prm="good", budget=4, difficulty="medium")
    assert easy["accuracy"] is None
    assert easy["support"]["n_problems"] == 0
    assert easy["strategy"] == medium["strategy"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"policy": "huge"}, "policy 'huge' is not in the lookup for dataset toy; known: small"),
        ({"prm": "best"}, "prm 'best' is not in the lookup.*known: any, good, none, weak"),
        ({"budget": 17}, "budget 17 is not in the lookup.*known: 4, 16"),
        ({"difficulty": "q9"}, "difficulty 'q9'.*known: all, easy, medium, hard, q1"),
        ({"dataset": "math"}, "dataset 'math' is not in the lookup; known: toy"),
    ],
)
def test_an_unknown_context_is_refused_with_the_known_ones(table, wrong, message):
    context = {"policy": "small", "prm": "good", "budget": 4, "difficulty": "easy"} | wrong
    with pytest.raises(UserError, match=message):
        find(table, **context)


def test_the_dataset_must_be_named_where_there_are_several(table):
    other = [context | {"dataset": "other"} for context in table["contexts"]]
    both = table | {"contexts": table["contexts"] + other}
    context = {"policy": "small", "prm": "good", "budget": 4, "difficulty": "easy"}
    with pytest.raises(UserError, match="dataset must be given; known: toy, other"):
        find(both, **context)
    assert find(both, **context, dataset="other")["dataset"] == "other"


@pytest.mark.parametrize(("value", "level"), [(0.5, "easy"), (0.1, "medium"), (0.05, "hard")])
def test_pass_at_1_becomes_a_level_by_the_studys_thresholds(table, value, level):
    assert level_of(table, value) == level


def test_a_percentage_is_refused(table):
    with pytest.raises(UserError, match="pass-at-1 30 is not a proportion; allowed: 0 to 1"):
        level_of(table, 30)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"lookup\.json is not whole JSON"),
        ("[]", "is not a lookup"),
        ('{"format": "testtime-lookup", "version": 99}', "version 99 of the lookup"),
    ],
)
def test_a_file_that_is_no_lookup_is_refused(tmp_path, text, message):
    path = tmp_path / "lookup.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load(path)


def test_a_missing_lookup_says_how_to_get_one(tmp_path):
    with pytest.raises(UserError, match=r"no such file: .*; run the study first"):
        load(tmp_path / "lookup.json")


def test_the_lookup_holds_nothing_but_json(table):
    assert json.loads(json.dumps(table)) == table
