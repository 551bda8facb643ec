"""Jobs of the workflow that are killed at random, and started again by the same command."""

import random

import pytest
from small_study import ANALYSIS, SmallStudy
from studies import assert_same_tables

STUDY = {
    "policies": ["micro-xs"],
    "prms": ["micro-prm-good"],
    "methods": ["cot", "majority", "best_of_n", "beam_search", "dvts"],
    "problems": {"limit": 30},
    "budgets": {"pool": [4, 128], "search": [4, 32]},
    "difficulty": {"samples": 16},
    **ANALYSIS,
}


def disturb(study, kills):
    """Kill the study this many times, then let it end; returns how often it could be killed."""
    chance, done = random.Random(7), 0
    while done < kills and study.kill(chance.uniform(0, 1.5)) is not None:
        done += 1
    study.run()
    return done


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    whole = SmallStudy(tmp_path_factory.mktemp("resume") / "whole", STUDY)
    whole.run()
    return whole


def test_what_a_killed_study_had_finished_is_not_computed_again(undisturbed, tmp_path):
    killed = SmallStudy(tmp_path / "killed", STUDY)
    assert disturb(killed, 3) == 3
    assert killed.kept() == undisturbed.kept()
    assert set(killed.kept().values()) == {1}
    assert_same_tables(killed.results, undisturbed.results, in_other_batches=True)


def test_deleted_outputs_are_written_again_from_the_rows(undisturbed):
    before = undisturbed.kept()
    paths = [*undisturbed.results.glob("generations/**/*.parquet")]
    paths += undisturbed.results.glob("searches/**/*.parquet")
    contents = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    undisturbed.run_models()
    assert {path: path.read_bytes() for path in paths} == contents
    assert undisturbed.kept() == before
