"""The registry of methods: one line and one module each, and all that follows from them."""

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import yaml
from testtime.evaluate.rules import Drawn, rounds, run
from testtime.evaluate.scoring import weigh
from testtime.search.run import program_of
from testtime.solve.answer import as_frame, choose_answer
from testtime.study.methods import METHODS, Look, Method, names, rules
from testtime.study.schema import SCHEMAS
from testtime.study.types import Path, Strategy
from testtime.study.vocabulary import MAJORITY, NONE, PATH_VOTES, SCORINGS, VOTES
from tiny_pool import NO_SCORES, NO_SEARCH, evaluate, frames


def test_the_registry_is_light_to_import():
    program = "import sys, testtime.study.methods; print({'numpy', 'yaml'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "set()\n"


@pytest.mark.parametrize("name", names("search"))
def test_a_search_is_the_function_of_its_name(name):
    assert program_of(METHODS[name]).__name__ == name


@pytest.mark.parametrize("name", [n for n in names("greedy", "pool") if n not in rules()])
def test_the_others_weigh_every_sample_by_every_scoring(name):
    method = METHODS[name]
    samples = as_frame([Path(text="x", scores=(0.5,), step_logprobs=(-1.0,))] * 3)
    scorings = method.scorings_of(SCORINGS)
    weights = weigh(method, samples, scorings)
    assert weights.shape == (3, len(scorings))
    assert (weights >= 0).all()


@pytest.mark.parametrize("name", rules())
def test_a_rule_gives_every_sample_of_every_order_a_vote(name):
    classes = np.array([[0, 1, 0], [-1, -1, -1], [2, 2, -1]])
    tokens, none = np.full((3, 3), 7.0), np.zeros((3, 3), dtype=bool)
    scores = np.array([[0.5, 0.4, 0.3]] * 3)
    steps = [(np.array([0.5, 0.4]), np.array([3, 7]))] * 3
    places = np.tile(np.arange(3), (3, 1))
    found = run(METHODS[name], Drawn(classes, tokens, scores, tokens, none, places, steps))
    assert found.weights.shape == (3, 3)
    assert (found.weights[classes < 0] == 0).all()
    assert (found.weights >= 0).all()
    assert (found.weights[0] > 0).any()
    assert found.drawn is None or ((found.drawn >= 1) & (found.drawn <= 3)).all()


@pytest.mark.parametrize("name", rules(stopping=True))
def test_a_rule_that_stops_says_where_and_weighs_nothing(name):
    assert not METHODS[name].weighs
    assert list(rounds(METHODS[name], 7))[-1] == 7


def strategies(name, scorings=("min", "last"), votes=VOTES):
    return METHODS[name].strategies(scorings, votes)


def test_a_study_has_the_strategies_that_its_scorings_and_votes_allow():
    assert strategies("cot") == [Strategy("cot")]
    assert strategies("majority", votes=("max",)) == [Strategy("majority", vote="majority")]
    assert strategies("best_of_n", votes=("majority", "max")) == [
        Strategy("best_of_n", "min", "max"),
        Strategy("best_of_n", "last", "max"),
    ]
    assert strategies("dvts", ("last",), ("majority", "weighted")) == [
        Strategy("dvts", vote="majority"),
        Strategy("dvts", "last", "weighted"),
    ]


def test_all_candidates_vote_in_searches_with_beams_alone():
    every = ("weighted", "weighted_all", "majority_all")
    for name, method in METHODS.items():
        found = {s.vote for s in strategies(name, ("last",), every)}
        assert ({"weighted_all", "majority_all"} <= found) == method.beams
        assert not ({"weighted_all", "majority_all"} & found) or method.beams
    assert strategies("dvts", ("last",), every) == [
        Strategy("dvts", vote="majority_all"),
        Strategy("dvts", "last", "weighted"),
        Strategy("dvts", "last", "weighted_all"),
    ]


def test_confidence_takes_its_own_scorings_and_the_mean_where_a_study_has_none_of_them():
    assert METHODS["confidence"].scorings_of(("min", "last", "avg")) == ["avg", "min"]
    assert METHODS["confidence"].scorings_of(("last",)) == ["avg"]
    assert METHODS["majority"].scorings_of(("last",)) == [NONE]


def test_the_config_allows_the_scorings_and_votes_that_there_are():
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())["properties"]
    figures = schema["figures"]["properties"]
    assert tuple(schema["scorings"]["items"]["enum"]) == SCORINGS
    assert tuple(schema["votes"]["items"]["enum"]) == VOTES
    assert tuple(figures["scoring"]["enum"]) == SCORINGS
    assert {MAJORITY, *figures["vote"]["enum"]} == set(PATH_VOTES)


def test_a_pool_method_more_is_one_module_and_one_line(monkeypatch):
    module = ModuleType("testtime.evaluate.methods.shortest")
    module.shortest = lambda samples, scorings: 1 / samples["tokens"].to_numpy(float)[:, None]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    line = Method("shortest", "pool", Look("Shortest", "#000000", "o"), scorings=("last",))
    monkeypatch.setitem(METHODS, "shortest", line)

    generations, _, grades = frames()
    rows = evaluate(generations, NO_SCORES, NO_SEARCH, grades, methods=["shortest"])
    best = rows[(rows["vote"] == "max") & (rows["budget"] == 4)]
    assert set(rows["scoring"]) == {"last"}
    assert best.set_index("problem_id")["correct"].to_dict() == {"a": 1.0, "b": 0.0}

    drawn = [Path(text=f"\\boxed{{{tokens}}}", tokens=tokens) for tokens in (30, 10, 20)]
    assert choose_answer(as_frame(drawn), "shortest", "last", "max") == "10"
