import numpy as np
import pytest
from testtime.fit import crossfit as module
from testtime.fit.crossfit import best_strategy, crossfit, draw_folds


def fit(correct, bins, *, n_bins, folds=5, repeats=4, seed=0, **kwargs):
    fold_of = draw_folds(bins, folds, repeats, seed)
    return crossfit(correct, bins, fold_of, n_bins=n_bins, **kwargs)


def plain_crossfit(correct, bins, fold_of, min_support):
    """Cross-fitting by the book: one problem at a time, no weights, no matrices."""
    answers = np.zeros(len(correct))
    for folds in fold_of:
        for i in range(len(correct)):
            training = [j for j in range(len(correct)) if folds[j] != folds[i]]
            answers[i] += plain_answer(correct, bins, training, i, min_support, True)
    return (answers / len(fold_of)).mean()


def plain_answer(correct, bins, training, i, min_support, per_bin):
    same_bin = [j for j in training if bins[j] == bins[i]]
    enough = per_bin and np.count_nonzero(bins == bins[i]) >= min_support
    chosen_on = same_bin if enough and same_bin else training
    means = [np.mean([correct[j, s] for j in chosen_on]) for s in range(correct.shape[1])]
    return correct[i, int(np.argmax(np.round(means, 9)))]


def plain_crossfit_preferring_one(correct, bins, fold_of, min_support):
    """As `plain_crossfit`; each fold first asks, on the others, whether choosing per bin pays."""
    n, total = len(correct), 0.0
    for folds in fold_of:
        for asked in range(fold_of.max() + 1):
            gain = 0.0
            for i in np.flatnonzero(folds != asked):
                training = [j for j in range(n) if folds[j] not in (asked, folds[i])]
                gain += plain_answer(correct, bins, training, i, min_support, True)
                gain -= plain_answer(correct, bins, training, i, min_support, False)
            training = np.flatnonzero(folds != asked)
            for i in np.flatnonzero(folds == asked):
                total += plain_answer(correct, bins, training, i, min_support, gain > 1e-9)
    return total / n / len(fold_of)


@pytest.mark.parametrize("size", [10, 11, 12, 13])
def test_a_bin_with_just_enough_problems_is_judged_by_the_strategy_it_chooses(size):
    bins = (np.arange(60) >= size).astype(int)
    correct = np.stack([bins == 0, bins == 1], axis=1).astype(float)
    result = fit(correct, bins, n_bins=2, min_support=10)
    assert result.chosen.tolist() == [0, 1]
    assert (result.values == 1).all()


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    n, n_bins = 23, 3
    correct = rng.integers(0, 3, (n, 5)) / 2  # many ties
    bins = rng.integers(0, n_bins, n)
    fold_of = draw_folds(bins, 4, 3, seed)
    result = crossfit(correct, bins, fold_of, n_bins=n_bins, min_support=4)
    assert result.accuracy == pytest.approx(plain_crossfit(correct, bins, fold_of, 4))


@pytest.mark.parametrize("seed", range(8))
def test_preferring_one_agrees_with_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    n, n_bins = 23, 3
    bins = rng.integers(0, n_bins, n)
    correct = rng.integers(0, 3, (n, 5)) / 2
    if seed % 2:  # bins matter
        correct[np.arange(n), bins] = 1.0
    fold_of = draw_folds(bins, 4, 3, seed)
    found = crossfit(correct, bins, fold_of, n_bins=n_bins, min_support=4, prefer_one=True)
    plain = plain_crossfit_preferring_one(correct, bins, fold_of, 4)
    assert found.accuracy == pytest.approx(plain)


def test_one_strategy_is_chosen_unless_choosing_per_bin_answers_more_of_unseen_problems():
    """Per bin wins where each bin has its own best strategy, and loses where all bins share one."""
    rng = np.random.default_rng(1)
    bins = np.repeat([0, 1, 2], 100)
    own = np.full((300, 6), 0.4)
    own[np.arange(300), bins] = 0.9
    shared = np.full((300, 6), 0.5)
    shared[:, 4] = 0.6
    for chance, per_bin in ((own, True), (shared, False)):
        correct = (rng.random(chance.shape) < chance).astype(float)
        result = fit(correct, bins, n_bins=3, prefer_one=True)
        assert result.per_bin is per_bin
        assert len(set(result.chosen.tolist())) == (3 if per_bin else 1)


def test_where_bins_make_no_difference_the_one_strategy_is_the_cheapest_of_equals():
    correct = np.tile([[0.0, 1.0, 1.0]], (60, 1))
    result = fit(correct, np.repeat([0, 1, 2], 20), n_bins=3, prefer_one=True)
    assert not result.per_bin
    assert result.chosen.tolist() == [1, 1, 1]
    assert (result.agreement == 1).all()


def test_in_sample_is_the_best_mean_of_each_bin():
    rng = np.random.default_rng(3)
    correct, bins = rng.random((60, 7)), np.repeat([0, 1, 2], 20)
    result = fit(correct, bins, n_bins=3)
    assert result.in_sample == pytest.approx(
        np.mean([correct[bins == b].mean(axis=0).max() for b in range(3)])
    )


def test_folds_are_equal_in_size_and_share_every_bin():
    bins = np.repeat([0, 1, 2], [50, 30, 20])
    for folds in draw_folds(bins, 5, 10, seed=4):
        assert list(np.bincount(folds)) == [20] * 5
        for b, share in enumerate((10, 6, 4)):
            assert list(np.bincount(folds[bins == b])) == [share] * 5


def test_repeats_draw_different_folds_and_a_seed_the_same():
    bins = np.zeros(40, dtype=int)
    folds = draw_folds(bins, 5, 3, seed=4)
    assert (folds[0] != folds[1]).any()
    assert (folds == draw_folds(bins, 5, 3, seed=4)).all()


def test_the_rule_takes_the_most_accurate_and_of_equals_the_cheapest():
    sums = np.array([[0.2, 0.5, 0.5], [0.4, 0.1, 0.0]])  # cheapest first
    size, n = np.ones(2), np.array([10, 10])
    assert list(best_strategy(sums, size, n)) == [1, 0]
    allowed = np.array([[True, False, True], [False, True, True]])
    assert list(best_strategy(sums, size, n, allowed)) == [2, 1]


def test_another_rule_is_told_how_accurate_each_is_and_on_how_many_problems(monkeypatch):
    """The cheapest within one standard error: 0.84 of 100 problems is within 0.04 of 0.87."""
    correct = np.zeros((100, 2))
    correct[:84, 0] = correct[:87, 1] = 1.0

    def one_standard_error(sums, size, n_problems, allowed=None):
        accuracy = sums / size[..., None]
        best = accuracy.max(axis=-1, keepdims=True)
        error = np.sqrt(best * (1 - best) / n_problems[..., None])
        return np.argmax(accuracy >= best - error, axis=-1)

    assert list(fit(correct, np.zeros(100, dtype=int), n_bins=1).chosen) == [1]
    monkeypatch.setattr(module, "best_strategy", one_standard_error)
    result = fit(correct, np.zeros(100, dtype=int), n_bins=1)
    assert list(result.chosen) == [0]
    assert result.accuracy == pytest.approx(0.84)


def test_equally_accurate_strategies_give_the_cheapest():
    correct = np.tile([[0.0, 1.0, 1.0, 1.0]], (30, 1))  # cheapest first
    result = fit(correct, np.zeros(30, dtype=int), n_bins=1)
    assert list(result.chosen) == [1]
    assert result.agreement[0] == 1.0
    assert (result.use[:, 1] == 1.0).all()


def test_a_bin_with_few_problems_takes_the_choice_over_all():
    correct = np.zeros((44, 2))
    correct[:40, 0] = 1.0  # the large bin: strategy 0
    correct[40:, 1] = 1.0  # four problems only: strategy 1
    bins = np.repeat([0, 1], [40, 4])
    result = fit(correct, bins, n_bins=2)
    assert list(result.pooled) == [False, True]
    assert list(result.chosen) == [0, 0]
    assert result.in_sample == pytest.approx(1.0), "the paper's choice has no such guard"


def test_a_bin_without_problems_still_has_a_choice():
    correct = np.tile([[0.2, 0.9]], (20, 1))
    result = fit(correct, np.zeros(20, dtype=int), n_bins=2)
    assert list(result.chosen) == [1, 1]
    assert np.isnan(result.bin_in_sample[1])


def test_only_allowed_strategies_are_chosen():
    correct = np.tile([[0.2, 0.5, 0.9]], (40, 1))
    bins = np.repeat([0, 1], 20)
    allowed = np.array([[True, True, False], [True, True, True]])
    result = fit(correct, bins, n_bins=2, allowed=allowed)
    assert list(result.chosen) == [1, 2]


def test_what_was_used_adds_up_to_the_accuracy():
    rng = np.random.default_rng(5)
    correct, bins = rng.random((50, 6)), rng.integers(0, 3, 50)
    result = fit(correct, bins, n_bins=3)
    assert result.use.sum(axis=1) == pytest.approx(np.ones(50))
    assert (result.use * correct).sum(axis=1).mean() == pytest.approx(result.accuracy)


def equal_world(rng, n, n_strategies=12, n_bins=3):
    """Right or wrong by the same coin for every strategy: Pass@1 differs by problem only."""
    chance = rng.uniform(0, 1, n)
    bins = np.digitize(chance, [1 / 3, 2 / 3])
    return (rng.random((n, n_strategies)) < chance[:, None]).astype(float), bins


@pytest.mark.parametrize(("n", "least_optimism"), [(30, 0.05), (500, 0.015)])
def test_where_all_are_equal_cross_fitting_has_no_bias_and_in_sample_has(n, least_optimism):
    """True accuracy is 1/2, whatever is chosen; the mean over worlds must meet it."""
    worlds = 400 if n == 30 else 150
    found = []
    for seed in range(worlds):
        correct, bins = equal_world(np.random.default_rng(seed), n)
        result = fit(correct, bins, n_bins=3, seed=seed, repeats=3)
        found.append((result.accuracy, result.in_sample))
    crossfitted, in_sample = np.array(found).T
    error = crossfitted.std() / np.sqrt(worlds)
    assert abs(crossfitted.mean() - 0.5) < 3 * error
    assert in_sample.mean() - 0.5 > least_optimism


def test_optimism_is_larger_on_few_problems():
    def optimism(n):
        gaps = []
        for seed in range(60):
            correct, bins = equal_world(np.random.default_rng(seed), n)
            result = fit(correct, bins, n_bins=3, seed=seed, repeats=2)
            gaps.append(result.in_sample - result.accuracy)
        return np.mean(gaps)

    assert optimism(30) > 2 * optimism(500)


def test_a_truly_better_strategy_per_bin_is_found():
    """Strategy 3 + b is right 30 points more often in bin b; 200 problems a bin."""
    rng = np.random.default_rng(0)
    bins = np.repeat([0, 1, 2], 200)
    chance = np.full((600, 10), 0.4)
    for b in range(3):
        chance[bins == b, 3 + b] = 0.7
    correct = (rng.random((600, 10)) < chance).astype(float)
    result = fit(correct, bins, n_bins=3)
    assert list(result.chosen) == [3, 4, 5]
    assert (result.agreement == 1.0).all()
    assert result.accuracy == pytest.approx(0.7, abs=4 * np.sqrt(0.7 * 0.3 / 600))


def test_the_same_inputs_give_the_same_numbers():
    rng = np.random.default_rng(2)
    correct, bins = rng.random((40, 5)), rng.integers(0, 3, 40)
    first, second = (fit(correct, bins, n_bins=3) for _ in range(2))
    assert (first.values == second.values).all()
