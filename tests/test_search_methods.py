"""The parts of single methods that have a formula of their own."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from fakes import FakePolicy, FakePrm, random_tree
from scipy.stats import beta
from testtime.sample import SampleSettings, sample_pool
from testtime.search.adaptive_best_of_n import is_decided
from testtime.search.particle_filtering import resample
from testtime.search.rebase import share_out
from testtime.search.run import SearchSettings, search_problems
from testtime.search.tree import select_best
from testtime.study.types import Path, Problem, Sampling


def scored(*values):
    return [Path(text=str(i), scores=(value,)) for i, value in enumerate(values)]


def test_of_equal_paths_the_first_are_best():
    paths = scored(0.5, 0.9, 0.5, 0.9, 0.9)
    assert [p.text for p in select_best(paths, 2)] == ["1", "3"]
    assert [p.text for p in select_best(paths, 4)] == ["0", "1", "3", "4"]


def test_rounding_noise_of_a_prm_does_not_rank():
    paths = scored(1 - 2e-8, 1 - 1e-8, 1.0)
    assert [p.text for p in select_best(paths, 1)] == ["0"]


def test_a_path_without_a_score_ranks_last():
    assert [p.text for p in select_best([Path(text="none"), *scored(0.1)], 1)] == ["0"]


def test_rebase_shares_sum_to_the_budget_and_grow_with_the_score():
    draw = np.random.default_rng(1)
    for _ in range(300):
        values = draw.choice([0.0, 0.2, 0.5, 0.51, 0.99], size=draw.integers(1, 20)).tolist()
        budget = int(draw.integers(0, 70))
        counts = share_out(budget, values)
        assert sum(counts) == budget
        assert min(counts) >= 0
        ranked = [c for _, c in sorted(zip(values, counts, strict=True), key=lambda x: -x[0])]
        # Rounding up from the best on: a worse path may get one more than a better one, no more.
        assert all(a + 1 >= b for a, b in pairwise(ranked))


@pytest.mark.parametrize(
    ("budget", "values", "counts"),
    [
        (16, [0.5, 0.5, 0.5, 0.5], [4, 4, 4, 4]),
        (4, [0.1, 0.9], [0, 4]),  # shares 0.0013 and 3.9987: the best is rounded up to all
        (8, [0.5, 0.4], [2, 6][::-1]),  # shares 8e/(e+1) = 5.85 and 2.15
        (3, [0.5, 0.5], [2, 1]),
    ],
)
def test_rebase_shares_follow_the_softmax_at_a_tenth(budget, values, counts):
    assert share_out(budget, values) == counts


def test_particles_are_drawn_in_proportion_to_their_odds():
    values = [0.5, 0.8, 0.2, 0.9]
    drawn = Counter(i for seed in range(5000) for i in resample(values, seed))
    odds = np.array([1, 4, 1 / 4, 9])
    shares = np.array([drawn[i] for i in range(4)]) / 20_000
    assert shares == pytest.approx(odds / odds.sum(), abs=0.015)


def test_certain_scores_do_not_break_the_draw():
    assert set(resample([1.0, 0.0, 0.0, 0.0], 3)) == {0}
    assert set(resample([0.0, 0.0], 4)) <= {0, 1}
    assert len(resample([1.0] * 50, 5)) == 50


def decide(votes):
    """`votes`: (class, score) pairs."""
    paths = [Path(text=str(c), scores=(s,)) for c, s in votes]
    return is_decided(paths, classify=lambda texts: [int(text) for text in texts])


def test_the_vote_is_decided_when_the_lead_is_safe_by_the_beta_criterion():
    for first in range(8):
        for second in range(first + 1):
            votes = [(0, 1.0)] * first + [(1, 1.0)] * second
            safe = beta(first + 1, second + 1).sf(0.5) > 0.95
            assert decide(votes) == (bool(votes) and safe)


def test_doubtful_votes_and_samples_without_an_answer_decide_nothing():
    assert decide([(0, 1.0)] * 4)
    assert not decide([(0, 0.3)] * 4)
    assert not decide([(-1, 1.0)] * 9)


def adaptive(budget, classify, monkeypatch):
    monkeypatch.setattr("testtime.search.adaptive_best_of_n._classify", classify)
    policy = FakePolicy(random_tree(1))
    settings = SearchSettings(
        "adaptive_best_of_n",
        budget=budget,
        sampling=Sampling(),
        step_tokens=10,
        max_steps=5,
        max_tokens=50,
        seed_parts=(1,),
    )
    [result] = search_problems(policy, FakePrm(levels=1), [Problem("p", "problem")], settings)
    return result


def test_adaptive_best_of_n_stops_when_decided_and_goes_on_where_it_is_not(monkeypatch):
    agree = adaptive(64, lambda texts: [0] * len(texts), monkeypatch)
    # Each vote weighs 1/2: Beta(n/2 + 1, 1) is above 1/2 with probability 0.95 from n = 6.6 on.
    assert agree.widths == (4, 4)
    differ = adaptive(10, lambda texts: list(range(len(texts))), monkeypatch)
    assert differ.widths == (4, 4, 2)
    assert [path.token_ids for path in differ.paths[:8]] == [p.token_ids for p in agree.paths]


def test_majority_and_best_of_n_draw_the_same_samples_and_cot_is_greedy():
    policy, problem = FakePolicy(random_tree(1)), Problem("p", "problem")

    def run(method, budget=6, prm=None):
        settings = SearchSettings(
            method,
            budget=budget,
            sampling=Sampling(),
            step_tokens=50,
            max_steps=1,
            max_tokens=50,
            seed_parts=(1,),
        )
        [result] = search_problems(policy, prm, [problem], settings)
        return result

    drawn, greedy = run("majority"), run("cot")
    assert len(drawn.paths) == 6
    assert len(greedy.paths) == 1
    pool = sample_pool(
        policy,
        [problem],
        start=0,
        stop=1,
        settings=SampleSettings(Sampling(temperature=0.0), 50, (1,), "cot"),
    )
    assert greedy.paths[0].text == pool["text"][0]
    assert run("majority", 3).paths == drawn.paths[:3]
