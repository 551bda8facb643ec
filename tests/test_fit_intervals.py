"""Intervals of chosen strategies, and comparisons with them, hold what they promise."""

import numpy as np
import pytest
from choosing import KINDS, simulate
from testtime.evaluate.statistics import accuracy_interval, chosen_interval


@pytest.mark.parametrize("soft", [False, True], ids=["0/1", "soft"])
@pytest.mark.parametrize("kind", KINDS)
def test_chosen_strategies_are_covered_and_equal_ones_are_not_told_apart(kind, soft):
    """400 worlds: the standard error of a coverage of 0.95 is 0.011."""
    found = simulate(100, kind, soft=soft, worlds=400)
    assert found["coverage"] == pytest.approx(0.95, abs=0.033)
    assert found["rejected"] == pytest.approx(0.05, abs=0.033)


def test_the_choice_need_not_vary_for_an_interval_to_be_a_single_strategys():

    values = (np.random.default_rng(0).random(80) < 0.7).astype(float)
    single = tuple(map(float, accuracy_interval(values)))
    assert chosen_interval(np.tile(values, (5, 1))) == pytest.approx(single)


def test_without_problems_there_is_no_interval():

    assert np.isnan(chosen_interval(np.empty((3, 0)))).all()
