"""Estimators against going through every subset of a small pool."""

from itertools import combinations, pairwise
from math import comb

import numpy as np
import pytest
from testtime.errors import UserError
from testtime.evaluate import votes
from testtime.evaluate.estimators import (
    best_of_k,
    choose_subsets,
    miss_probability,
    pass_at_k,
    rank_probability,
    win_probability,
)
from testtime.evaluate.scoring import path_scores
from testtime.evaluate.votes import Draws, expected_vote, majority_vote, tally, weighted_vote

SCORINGS = ("min", "last", "avg")
COARSE = (0.0, 0.25, 0.5, 0.75, 1.0)  # sums of quarters are exact, so equal sums are ties


def random_pool(rng):
    """Classes, correctness and step scores of one problem, with many ties."""
    n, n_classes = rng.integers(2, 11), rng.integers(1, 6)
    classes = rng.integers(-1, n_classes, n)
    right = rng.integers(0, 2, n_classes)
    correct = np.where(classes >= 0, right[classes], 0).astype(float)
    steps = [rng.choice(COARSE, rng.choice([1, 2, 4])).tolist() for _ in range(n)]
    return classes, correct, steps


def score(steps, scoring):
    return {"min": min(steps), "last": steps[-1], "avg": sum(steps) / len(steps)}[scoring]


def over_all_subsets(n, k, value):
    return np.mean([value(subset) for subset in combinations(range(n), k)])


def vote(classes, correct, weights):
    """Mean correctness of the classes with the largest sum of weights in one subset."""

    def value(subset):
        sums = {}
        for i in subset:
            if classes[i] >= 0:
                sums[classes[i]] = sums.get(classes[i], 0.0) + weights[i]
        if not sums:
            return 0.0
        best = [c for c, total in sums.items() if total == max(sums.values())]
        return np.mean([correct[classes == c][0] for c in best])

    return value


def take_best(classes, correct, scores):
    """Mean correctness of the samples with the highest score among those with an answer."""

    def value(subset):
        answered = [i for i in subset if classes[i] >= 0]
        if not answered:
            return 0.0
        top = max(scores[i] for i in answered)
        return np.mean([correct[i] for i in answered if scores[i] == top])

    return value


DRAWS = Draws(subsets=1000, seeds=np.array([7]))


@pytest.mark.parametrize("seed", range(40))
def test_votes_and_best_of_k_equal_the_mean_over_all_subsets(seed):
    classes, correct, steps = random_pool(np.random.default_rng(seed))
    n = len(classes)
    own = classes[None], correct[None]
    scores = path_scores(steps, SCORINGS)
    for k in range(1, n + 1):
        found, error = majority_vote(*own, k, DRAWS)
        assert found[0] == pytest.approx(over_all_subsets(n, k, vote(classes, correct, np.ones(n))))
        assert error[0] == 0
        weighted = expected_vote(*own, scores[None], k, "weighted", DRAWS)[0][0]
        best = expected_vote(*own, scores[None], k, "max", DRAWS)[0][0]
        for column, scoring in enumerate(SCORINGS):
            weights = [score(s, scoring) for s in steps]
            assert weighted[column] == pytest.approx(
                over_all_subsets(n, k, vote(classes, correct, weights))
            )
            assert best[column] == pytest.approx(
                over_all_subsets(n, k, take_best(classes, correct, weights))
            )


@pytest.mark.parametrize("seed", range(40))
def test_one_vote_names_the_classes_that_the_expectation_of_all_samples_takes(seed):
    classes, _, steps = random_pool(np.random.default_rng(seed))
    weights = path_scores(steps, ["last"])
    for how in ("majority", "weighted"):
        won = tally(classes, weights[:, 0], how)
        for group in set(classes[classes >= 0]):
            right = (classes == group).astype(float)[None]
            expected = expected_vote(classes[None], right, weights[None], len(classes), how, DRAWS)
            assert expected[0][0, 0] == pytest.approx((group in won) / max(len(won), 1))


def test_classes_that_tie_win_together_in_the_order_of_their_first_paths():
    assert tally([7, 3, 3, 7, -1], [0.1, 0.2, 0.3, 0.4, 0.9], "majority") == [7, 3]
    assert tally([7, 3, 3, 7, -1], [0.1, 0.2, 0.3, 0.4, 0.9], "weighted") == [7, 3]
    assert tally([7, 3, 3, 7, -1], [0.1, 0.2, 0.3, 0.4, 0.9], "max") == [7]
    assert tally([-1, -1], [0.5, 0.5], "weighted") == []
    assert tally([2, 2, 5], [0.0, 0.0, 0.0], "weighted") == [2, 5]
    with pytest.raises(UserError, match="vote 'mean' is not known; allowed: majority, max, wei"):
        tally([1], [1.0], "mean")


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_pass_at_k_equals_the_mean_over_all_subsets_and_the_closed_form(n):
    for n_right in range(n + 1):
        correct = np.array([1] * n_right + [0] * (n - n_right))
        for k in range(1, n + 1):
            exact = over_all_subsets(n, k, lambda s, c=correct: float(c[list(s)].any()))
            assert pass_at_k(correct, k) == pytest.approx(exact)
            assert pass_at_k(correct, k) == pytest.approx(1 - comb(n - n_right, k) / comb(n, k))


def test_pass_at_k_of_a_large_pool_does_not_overflow():
    correct = np.zeros((1, 2000))
    correct[0, :3] = 1
    exact = 1 - (1000 * 999 * 998) / (2000 * 1999 * 1998)
    assert pass_at_k(correct, 1000)[0] == pytest.approx(exact)


def test_chances_of_ranks_and_of_missing_follow_binomial_coefficients():
    n, k = 12, 5
    ranks = [comb(i - 1, k - 1) / comb(n, k) for i in range(1, n + 1)]
    missing = [comb(n - m, k) / comb(n, k) for m in range(n + 1)]
    np.testing.assert_allclose(rank_probability(n, k), ranks)
    np.testing.assert_allclose(miss_probability(n, k), missing)


def test_equal_scores_share_the_choice():
    correct = np.array([[1.0, 0.0, 0.0, 1.0]])
    scores = np.array([[0.9, 0.9, 0.9, 0.1]])
    assert best_of_k(correct, scores, 4)[0] == pytest.approx(1 / 3)


def test_budget_one_is_the_mean_for_every_estimator():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 4, (5, 30))
    correct = (classes == 1).astype(float)
    weights = rng.random((5, 30, 2)) + 0.1
    draws = Draws(1000, np.arange(5))
    mean = correct.mean(axis=1)
    np.testing.assert_allclose(pass_at_k(correct, 1), mean)
    np.testing.assert_allclose(best_of_k(correct, weights[..., 0], 1), mean)
    np.testing.assert_allclose(majority_vote(classes, correct, 1, draws)[0], mean)
    weighted = weighted_vote(classes, correct, weights, 1, draws)[0]
    np.testing.assert_allclose(weighted, np.stack([mean, mean], axis=1))


def test_a_sample_without_an_answer_does_not_vote_and_nobody_voting_is_wrong():
    draws = Draws(10, np.array([1]))
    silent = np.array([[-1, -1, 2]])
    assert majority_vote(silent, np.array([[0, 0, 1.0]]), 3, draws)[0][0] == 1
    assert majority_vote(silent, np.array([[0, 0, 1.0]]), 2, draws)[0][0] == (pytest.approx(2 / 3))
    nobody = np.full((1, 3), -1)
    assert majority_vote(nobody, np.zeros((1, 3)), 3, draws)[0][0] == 0


def test_random_subsets_agree_with_the_exact_majority_within_their_stated_error():
    rng = np.random.default_rng(3)
    classes = rng.choice(6, (60, 64), p=[0.3, 0.25, 0.2, 0.15, 0.05, 0.05])
    correct = (classes == 0).astype(float)
    draws = Draws(1000, np.arange(60))
    for k in (4, 16):
        exact, no_error = majority_vote(classes, correct, k, draws)
        drawn, error = weighted_vote(classes, correct, np.ones((60, 64, 1)), k, draws)
        z = (drawn[:, 0] - exact) / error[:, 0]
        assert not no_error.any()
        assert 0.8 < np.sqrt((z**2).mean()) < 1.3
        assert abs(z.mean()) < 3 / np.sqrt(60)
        # Disjoint pieces of a permutation do better than subsets drawn one by one.
        assert (error[:, 0] ** 2).mean() < (exact * (1 - exact) / 1000).mean()


def test_a_vote_too_long_to_compute_falls_back_to_subsets(monkeypatch):
    rng = np.random.default_rng(4)
    classes = rng.integers(0, 3, (2, 40))
    correct = (classes == 0).astype(float)
    draws = Draws(2000, np.arange(2))
    exact, _ = majority_vote(classes, correct, 10, draws)
    monkeypatch.setattr(votes, "MAX_OPERATIONS", 0)
    drawn, error = majority_vote(classes, correct, 10, draws)
    assert (error > 0).all()
    assert (np.abs(drawn - exact) < 4 * error).all()


def test_exact_majority_of_a_large_split_pool_adds_up_to_one():
    counts = np.array([60, 50, 40, 30, 20, 10, *[1] * 40])
    chances = [win_probability(counts, 64, 256, i) for i in range(len(counts))]
    # Some sample always votes: only 6 of 256 do not, and 64 are drawn.
    assert sum(chances) == pytest.approx(1.0, abs=1e-12)
    assert all(a >= b for a, b in pairwise(chances))


def test_few_subsets_are_all_gone_through_and_many_use_each_sample_equally():
    few = choose_subsets(6, 3, at_least=100, seed=0)
    assert few.exact
    assert len(np.unique(few.members, axis=1).T) == comb(6, 3)
    many = choose_subsets(64, 16, at_least=100, seed=0)
    assert not many.exact
    assert (many.members.sum(axis=0) == 16).all()
    assert (many.members.sum(axis=1) == many.groups).all()


def test_the_same_seed_gives_the_same_votes_whatever_other_problems_are_there():
    rng = np.random.default_rng(5)
    classes = rng.integers(0, 5, (3, 64))
    correct = (classes == 0).astype(float)
    weights = rng.random((3, 64, 2))
    seeds = np.array([11, 12, 13])
    together = weighted_vote(classes, correct, weights, 16, Draws(200, seeds))[0]
    alone = weighted_vote(classes[1:2], correct[1:2], weights[1:2], 16, Draws(200, seeds[1:2]))[0]
    np.testing.assert_array_equal(together[1:2], alone)


def test_path_scores_are_min_last_and_mean_of_the_steps():
    found = path_scores([[0.5, 0.25, 0.75], [], [0.9]], SCORINGS)
    np.testing.assert_allclose(found, [[0.25, 0.75, 0.5], [0, 0, 0], [0.9, 0.9, 0.9]])
