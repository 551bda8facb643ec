"""What another run's samples would change: variances over runs, for pools and for searches."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from test_evaluate_trees import beams, dvts, outcomes
from testtime.errors import UserError
from testtime.evaluate.tables import accuracy_table
from testtime.evaluate.votes import Draws, expected_vote, run_variance
from tiny_pool import NO_SCORES, NO_SEARCH, evaluate, frames

CLASSES = np.array([[0, 1, 1, -1], [0, 0, 0, 0], [2, 0, 2, 1]])
CORRECT = np.array([[1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]], dtype=float)
WEIGHTS = np.array([[0.9, 0.5, 0.25, 1.0], [0.5, 0.5, 0.75, 0.25], [0.25, 0.75, 0.5, 0.75]])


def one_vote(classes, correct, weights, vote):
    """Correctness of one run's answer, ties shared: by the book."""
    voters = [(c, r, w) for c, r, w in zip(classes, correct, weights, strict=True) if c >= 0]
    if not voters:
        return 0.0
    if vote == "max":
        top = max(w for _, _, w in voters)
        return float(np.mean([r for _, r, w in voters if w == top]))
    held = {}
    for c, _, w in voters:
        held[c] = held.get(c, 0.0) + (1.0 if vote == "majority" else w)
    right = {c: r for c, r, _ in voters}
    winners = [c for c, total in held.items() if total == max(held.values())]
    return float(np.mean([right[c] for c in winners]))


@pytest.mark.parametrize("vote", ["majority", "weighted", "max"])
@pytest.mark.parametrize("k", [3, 4])
def test_beyond_half_of_the_pool_a_run_is_drawn_with_replacement(vote, k):
    """Against all n^k draws; the random ones leave an error of a hundredth."""
    draws = Draws(20_000, np.arange(3))
    made_of = CLASSES, CORRECT, WEIGHTS[..., None], k, vote, draws
    expected, _ = expected_vote(*made_of)
    found = run_variance(expected, *made_of)
    for i in range(3):
        runs = [
            one_vote(CLASSES[i, list(d)], CORRECT[i, list(d)], WEIGHTS[i, list(d)], vote)
            for d in product(range(4), repeat=k)
        ]
        chance = np.mean(runs)
        assert found[i, 0] == pytest.approx(chance * (1 - chance), abs=0.01)


def test_up_to_half_of_the_pool_the_expectation_over_subsets_is_the_chance():
    made_of = CLASSES, CORRECT, WEIGHTS[..., None], 2, "majority", Draws(100, np.arange(3))
    expected, _ = expected_vote(*made_of)
    assert run_variance(expected, *made_of) == pytest.approx(expected * (1 - expected))


@pytest.mark.parametrize("k", [4, 16, 32])
def test_it_is_what_fresh_runs_show(k):
    """Majority votes of 20 problems, each of 400 new pools of 32 and of 400 new runs of k."""
    rng = np.random.default_rng(0)
    chances = rng.dirichlet([2.0, 1.5, 1.0], size=20)

    def drawn(size):
        return (rng.random((20, size, 1)) > chances.cumsum(axis=1)[:, None, :2]).sum(axis=2)

    def voted(classes):
        right = (classes == 0).astype(float)
        made_of = classes, right, np.ones((*classes.shape, 1)), classes.shape[1], "majority"
        return expected_vote(*made_of, Draws(100, np.arange(20)))[0][:, 0]

    runs = np.array([voted(drawn(k)).mean() for _ in range(400)])
    pools = []
    for _ in range(40):
        classes = drawn(32)
        right = (classes == 0).astype(float)
        made_of = classes, right, np.ones((20, 32, 1)), k, "majority", Draws(300, np.arange(20))
        variance = run_variance(expected_vote(*made_of)[0], *made_of)
        pools.append(np.sqrt(variance.sum()) / 20)
    # Ties are shared in `voted` and broken at random in a run, which varies a little more.
    assert runs.std() * 0.9 < np.mean(pools) < runs.std() * 1.35


def test_sure_answers_vary_by_nothing_whatever_the_rounding():
    """256 right samples: the chance of a right one sums to 1 but for its last digits."""
    classes, correct = np.zeros((2, 256), dtype=int), np.ones((2, 256))
    weights = np.linspace(0.1, 0.9, 512).reshape(2, 256, 1)
    for vote in ("max", "majority", "weighted"):
        made_of = classes, correct, weights, 4, vote, Draws(100, np.arange(2))
        assert (run_variance(expected_vote(*made_of)[0], *made_of) == 0).all()


def test_a_single_sampled_cot_tells_nothing():
    generations, scores, grades = frames()
    methods = {"methods": ["cot", "majority"]}
    rows = evaluate(generations, scores, NO_SEARCH, grades, greedy_cot=False, **methods)
    assert rows.loc[rows["method"] == "cot", "run_variance"].isna().all()


def test_a_pool_of_one_tells_nothing():
    made_of = CLASSES[:, :1], CORRECT[:, :1], WEIGHTS[:, :1, None], 1, "majority"
    made_of = (*made_of, Draws(100, np.arange(3)))
    assert np.isnan(run_variance(expected_vote(*made_of)[0], *made_of)).all()


def test_greedy_cot_has_none_and_several_samples_of_cot_have_theirs():
    generations, scores, grades = frames()
    rows = evaluate(generations, scores, NO_SEARCH, grades, methods=["cot", "majority"])
    assert (rows.loc[rows["method"] == "cot", "run_variance"] == 0).all()
    more = generations[generations["block"] == "cot"].assign(sample=1)
    graded = grades[grades["method"] == "cot"].assign(path=1, correct=False)
    rows = evaluate(
        pd.concat([generations, more]),
        scores,
        NO_SEARCH,
        pd.concat([grades, graded]),
        methods=["cot", "majority"],
    )
    cot = rows[rows["method"] == "cot"].set_index("problem_id")
    assert cot["run_variance"].to_dict() == {"a": 0.5, "b": 0.0}  # right and wrong; wrong twice


def runs_of_beams(corrects):
    """Searches of both problems, one per entry, in which nothing but correctness differs."""
    rows, grades = [], []
    for run, correct in enumerate(corrects):
        found, graded = beams(4)
        offset = found.groupby("problem_id").cumcount() + 10 * run
        rows.append(found.assign(subtree=run, path=offset, tree_policy_tokens=1000.0 * (run + 1)))
        grades.append(graded.assign(path=offset, correct=correct))
    return pd.concat(rows, ignore_index=True), pd.concat(grades, ignore_index=True)


def test_independent_searches_are_averaged_and_their_variance_is_told():
    searches, grades = runs_of_beams([True, False, True])
    rows = outcomes(searches, grades, methods=["beam_search"], search_budgets=[4])
    found = rows.xs(("last", "weighted", 4), level=[1, 2, 3])
    assert found["correct"].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert found["run_variance"].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert (found["policy_tokens"] == 2000).all()


def test_a_single_search_tells_no_variance_and_its_subtrees_do():
    rows = outcomes(*beams(4), methods=["beam_search"], search_budgets=[4])
    assert rows["run_variance"].isna().all()
    rows = outcomes(*dvts(), methods=["dvts"])
    assert rows["run_variance"].notna().all()
    assert rows.loc[("a", "last", "max", 8), "run_variance"] > 0, "all four subtrees, resampled"


def test_problems_with_different_numbers_of_searches_are_refused():
    searches, grades = runs_of_beams([True, True])
    some = (searches["problem_id"] == "a") | (searches["subtree"] == 0)
    with pytest.raises(UserError, match="1 searches of problem b, 2 of others"):
        outcomes(searches[some], grades, methods=["beam_search"], search_budgets=[4])


def test_an_accuracy_varies_by_its_problems_together():
    generations, _, grades = frames()
    rows = evaluate(generations, NO_SCORES, NO_SEARCH, grades, methods=["majority"])
    nothing = pd.DataFrame(columns=["dataset", "policy", "problem_id", "level", "quantile"])
    table = accuracy_table(rows, nothing)
    for row in table.itertuples():
        own = rows[rows["budget"] == row.budget]["run_variance"]
        assert row.run_sd == pytest.approx(np.sqrt(own.sum()) / 2)
