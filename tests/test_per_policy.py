"""Policies with methods, budgets and CoT of their own."""

from dataclasses import replace

import pytest
from testtime.data.decided import Cell, cells
from testtime.sample import SampleSettings
from testtime.study.config import read, validate
from testtime.study.study import Study
from testtime.study.types import GREEDY, Problem, Sampling

PROBLEM = Problem("p", "1 + 1?")
OWN = {
    "micro-xs": {"budgets": {"pool": [4, 512], "search": [4, 128]}},
    "micro-m": {"methods": ["cot", "majority", "beam_search"]},
    "micro-l": {"methods": ["cot"]},
}


def study_of(**changes):
    config = read() | changes
    return Study(config, validate(config))


@pytest.fixture(scope="module")
def study():
    policies = ["micro-xs", "micro-s", "micro-m", "micro-l"]
    own = {"policies": {"micro-l": {"cot_samples": 8}}}
    return study_of(policies=policies, per_policy=OWN, catalog=own)


def kinds(paths):
    return {"/".join(path.split("/")[5:-1]) for path in paths}


def test_a_policy_that_is_only_compared_with_draws_its_cot_alone(study):
    cell = ("microcosm", "micro-l")
    assert study.all_blocks("micro-l") == ["cot"]
    assert study.drawing(*cell).paths == 200 * 8
    assert study.search_files(*cell) == []
    assert study.step_scores(*cell, ["0-4"]) == []
    assert [c.stage for c in cells(study) if c.policy == "micro-l"] == ["generate"]
    for kind in ("difficulty", "predictions", "predictors", "scores", "searches"):
        assert not [path for path in study.paths_of(kind) if "micro-l" in path], kind
    assert [path for path in study.paths_of("grades") if "micro-l" in path]


def test_budgets_of_a_policy_are_its_own(study):
    assert study.pool_blocks("micro-xs") == ["0-4", "4-512"]
    assert study.pool_blocks("micro-s") == ["0-4", "4-16", "16-64", "64-256"]
    assert kinds(study.searches_by("micro-prm-good", "microcosm", "micro-xs")) == {
        *("beam_search/4", "beam_search/128", "dvts/0-4", "dvts/4-128"),
    }
    assert study.setting("budgets")["pool"] == [4, 16, 64, 256, 512]
    assert study.setting("headline") == 64  # of the whole study


def test_methods_of_a_policy_are_its_own(study):
    assert kinds(study.searches_by("micro-prm-good", "microcosm", "micro-m")) == {
        *("beam_search/4", "beam_search/16", "beam_search/64"),
    }
    assert study.scorers("micro-m") == []
    assert study.has("scores")  # of other policies
    assert not study_of(methods=["cot", "majority"], prms=[]).has("scores")


def test_each_policys_searches_are_made_by_one_rule(study):
    rules = study.searched_together()
    assert [policies for _, policies in rules] == [["micro-xs"], ["micro-s"], ["micro-m"]]
    assert rules[2][0] == [("beam_search", "4"), ("beam_search", "16"), ("beam_search", "64")]


def test_cot_is_greedy_unless_it_is_a_mean_over_samples(study):
    specs = study.catalog.policies
    assert SampleSettings.of(specs["micro-s"], (), "cot").sampling == GREEDY
    assert SampleSettings.of(specs["micro-l"], (), "cot").sampling == Sampling(1.0, 1.0, 0)
    assert study.block_samples("micro-s", "cot") == 1
    assert study.block_samples("micro-l", "cot") == 8


def test_sampled_cot_follows_the_temperature_and_greedy_cot_does_not(study):
    for name, follows in {"micro-s": False, "micro-l": True}.items():
        warmer = replace(study.catalog.policy(name), temperature=0.5)
        catalog = replace(study.catalog, policies=study.catalog.policies | {name: warmer})
        found = {
            Cell(own, "generate", "microcosm", name).row_stamps(lambda _: "x")(PROBLEM, "cot")
            for own in (study, replace(study, catalog=catalog))
        }
        assert (len(found) == 2) == follows, name


def test_a_study_without_own_settings_has_the_stamps_that_it_had(study):
    """Only what a policy changes for itself is drawn again."""
    plain, own = study_of(), study
    for name in ("micro-xs", "micro-s", "micro-m"):
        before, after = (Cell(s, "generate", "microcosm", name) for s in (plain, own))
        assert before.stamp == after.stamp
