"""Rules that look at all samples drawn: against every order of a small pool, and a reference."""

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import permutations
from math import ceil, isqrt, log

import numpy as np
import pytest
from scorio import aggregate
from testtime.errors import UserError
from testtime.evaluate import rules
from testtime.evaluate.methods.adaptive_dirichlet import leader_probability
from testtime.evaluate.pool import Samples
from testtime.evaluate.rules import Drawn, follow
from testtime.evaluate.votes import Draws
from testtime.study.methods import METHODS
from tiny_pool import NO_SEARCH, evaluate, frames

RULES = [name for name, method in METHODS.items() if method.rule]
STOPS = [name for name in RULES if METHODS[name].stops]


def pool(classes, seed=0):
    """Samples of problems with these classes; class 0 is right."""
    rng = np.random.default_rng(seed)
    classes = np.array(classes)
    tokens = rng.integers(5, 60, classes.shape).astype(float)
    forced = rng.random(classes.shape) < 0.4
    steps = np.empty(classes.shape, dtype=object)
    for place in np.ndindex(classes.shape):
        ends = np.array([1, 2, tokens[place]])
        steps[place] = (rng.random(3).round(1) if rng.random() < 0.9 else np.zeros(0)), ends
    return Samples(
        classes,
        (classes == 0).astype(float),
        tokens,
        np.where(forced, tokens - 4, tokens - 2),
        forced,
        np.arange(10.0, 10.0 + len(classes)),
        rng.random((*classes.shape, 1)),
        steps,
    )


SMALL = pool([[0, 1, 1, -1, 0, 2], [0, 0, 0, 0, 0, 0], [-1, -1, -1, -1, 1, 0], [1, 0, 2, 3, 0, 1]])


def heaviest(held, right):
    """How right the heaviest answers are, ties shared; wrong where nothing votes."""
    most = max(held.values(), default=0.0)
    winners = [answer for answer, total in held.items() if total > 0 and total >= most - 1e-12]
    return float(np.mean([right[answer] for answer in winners])) if winners else 0.0


def one_run(name, samples, i, order):
    """One run by the book: how right its answer is, how many samples it drew, and their tokens."""
    answers = [int(a) for a in samples.classes[i][list(order)]]
    tokens = samples.tokens[i][list(order)]
    scores = samples.scores[i, list(order), 0]
    forced = samples.forced[i][list(order)]
    thoughts = samples.thought_tokens[i][list(order)]
    right = {a: float(a == 0) for a in answers}
    voters = [j for j, a in enumerate(answers) if a >= 0]
    if name == "deepconf_online":
        return deepconf_online(answers, tokens, [samples.steps[i][j] for j in order], right)
    if name in STOPS:
        drawn = len(answers)
        for j in range(1, len(answers) + 1):
            if stops(name, answers[:j]):
                drawn = j
                break
        votes = Counter(a for a in answers[:drawn] if a >= 0)
        return heaviest(votes, right), drawn, tokens[:drawn].sum()
    held = dict.fromkeys((answers[j] for j in voters), 0.0)
    for j in voters:
        held[answers[j]] += weight(name, j, voters, answers, tokens, scores, forced)
    spent = np.where(forced, thoughts, tokens) if name == "unforced_majority" else tokens
    return heaviest(held, right), len(answers), spent.sum()


def deepconf_online(answers, tokens, steps, right):
    """The loop with the reference's threshold: 16 whole samples, then each until it is below."""
    lowest = [min(own) if len(own) else 0.0 for own, _ in steps]
    threshold = aggregate.deepconf_stop_threshold(lowest[:16], keep=0.1)
    held, spent, drawn = {}, 0.0, 0
    for j, answer in enumerate(answers):
        drawn += 1
        below = [end for own, end in zip(*steps[j], strict=False) if own < threshold]
        spent += below[0] if j >= 16 and below else tokens[j]
        if lowest[j] >= threshold and answer >= 0:
            held[answer] = held.get(answer, 0.0) + lowest[j]
        total = sum(held.values())
        if j >= min(16, len(answers)) - 1 and total > 0 and max(held.values()) >= 0.95 * total:
            break
    return heaviest(held, right), drawn, spent


def stops(name, answers):
    """Whether the loop ends after these answers."""
    n, known = len(answers), [a if a >= 0 else None for a in answers]
    if name == "early_stopping":
        return n % 5 == 0 and aggregate.esc_stop(known[-5:])
    if name == "doubling" and n & (n - 1):
        return False
    if name == "adaptive_dirichlet":
        return sure_of_all(tuple(sorted(Counter(a for a in answers if a >= 0).values())))
    return aggregate.adaptive_consistency_stop(known)


@cache
def sure_of_all(counts):
    answers = [i for i, count in enumerate(counts) for _ in range(count)]
    return aggregate.adaptive_consistency_dirichlet_stop(answers)


def weight(name, j, voters, answers, tokens, scores, forced):
    """The vote of sample j."""
    if name.startswith("deepconf"):
        kept = ceil(len(voters) * (0.1 if name == "deepconf_low" else 0.9) - 1e-9)
        return scores[j] if scores[j] >= sorted(scores[voters])[-kept] else 0.0
    if name == "majority_of_bests":
        n, m = len(voters), isqrt(len(voters))
        rank = sum(scores[v] > scores[j] for v in voters)
        return ((n - rank) / n) ** m - ((n - rank - 1) / n) ** m
    if name == "shortest_majority":
        return 1 / log(np.mean([tokens[v] for v in voters if answers[v] == answers[j]]))
    if name == "longest_majority":
        return float(tokens[j] >= sorted(tokens[voters])[-((len(voters) + 1) // 2)])
    assert name == "unforced_majority"
    return float(not forced[j])


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("name", RULES)
def test_it_is_the_mean_over_all_orders_of_a_small_pool(name, k):
    found = follow(METHODS[name], SMALL, k, Draws(4000, np.arange(4)))
    for i in range(4):
        runs = np.array([one_run(name, SMALL, i, o) for o in permutations(range(6), k)])
        correct, drawn, tokens = runs.T
        assert found.correct[i, 0] == pytest.approx(correct.mean())
        assert found.samples[i] == pytest.approx(drawn.mean())
        assert found.samples_sd[i] == pytest.approx(drawn.std())
        assert found.tokens[i] == pytest.approx(tokens.mean())
        if k <= 3:
            chance = correct.mean()
            assert found.run_variance[i, 0] == pytest.approx(chance * (1 - chance))
    assert (found.error == 0).all()


def large(n=96):
    rng = np.random.default_rng(3)
    shares = [[0.5, 0.3, 0.2], [0.35, 0.4, 0.25], [0.9, 0.05, 0.05], [0.2, 0.2, 0.6]]
    classes = np.array([rng.choice([0, 1, -1], size=n, p=p) for p in shares])
    classes[3, :30] = rng.integers(2, 9, 30)
    return pool(classes, seed=4)


@pytest.mark.parametrize("name", STOPS)
def test_costs_of_a_large_pool_are_those_of_the_loop_itself(name):
    """600 runs of the loop against as many random orders: within four standard errors of both."""
    samples, rng = large(), np.random.default_rng(5)
    found = follow(METHODS[name], samples, 24, Draws(2400, np.arange(4)))
    for i in range(4):
        orders = [rng.permutation(96)[:24] for _ in range(600)]
        runs = np.array([one_run(name, samples, i, order) for order in orders])
        runs = np.column_stack([runs, runs[:, 1] ** 2])
        error = 4 * runs.std(axis=0) * np.sqrt(2 / 600) + 1e-9
        squares = found.samples_sd[i] ** 2 + found.samples[i] ** 2
        told = [found.correct[i, 0], found.samples[i], found.tokens[i], squares]
        assert (np.abs(runs.mean(axis=0) - told) <= error).all()
    assert 0 < found.error.max() < 0.03


@pytest.mark.parametrize("name", RULES)
def test_what_all_of_a_large_pool_say_is_what_one_run_says(name):
    samples = large(40)
    found = follow(METHODS[name], samples, 40, Draws(50, np.arange(4)))
    if name not in STOPS:
        for i in range(4):
            assert found.correct[i, 0] == one_run(name, samples, i, range(40))[0]
        assert (found.samples == 40).all()


def random_rows(seed, n=13, rows=60, kinds=4):
    rng = np.random.default_rng(seed)
    classes = rng.integers(-1, kinds, (rows, n))
    scores = rng.random((rows, n))
    answers = [[None if a < 0 else str(a) for a in row] for row in classes]
    return classes, scores, answers


def drawn_of(classes, scores):
    none = np.zeros(classes.shape, dtype=bool)
    return Drawn(classes, np.ones(classes.shape), scores, np.ones(classes.shape), none)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("majority_of_bests", aggregate.majority_of_the_bests),
        ("deepconf_low", lambda a, s: aggregate.filtered_vote(a, s, keep=0.1)),
        ("deepconf_high", lambda a, s: aggregate.filtered_vote(a, s, keep=0.9)),
    ],
)
def test_votes_are_those_of_an_independent_program(name, reference):
    classes, scores, answers = random_rows(7)
    weights = rules.run(METHODS[name], drawn_of(classes, scores)).weights
    compared = 0
    for row, own, said, ranked in zip(classes, weights, answers, scores, strict=True):
        totals = np.bincount(row[row >= 0], own[row >= 0])
        first, *second = sorted(totals, reverse=True)
        if not second or first > second[0] + 1e-9:  # the reference breaks ties by order
            assert str(totals.argmax()) == reference(said, ranked)
            compared += 1
    assert compared > 40


@pytest.mark.parametrize("counts", [(5, 2, 1), (9, 3, 3, 2), (40, 25, 20, 1, 1), (1, 1, 1)])
def test_the_leader_s_chance_is_that_of_an_independent_program(counts):
    answers = [str(i) for i, count in enumerate(counts) for _ in range(count)]
    _, chance = aggregate.adaptive_consistency_dirichlet_stop(answers, return_prob=True)
    assert leader_probability(counts) == pytest.approx(chance, abs=2e-3)


def test_rules_are_outcomes_with_the_samples_and_tokens_that_they_take():
    methods = ["majority", "adaptive_consistency", "majority_of_bests", "shortest_majority"]
    generations, scores, grades = frames()
    rows = evaluate(generations, scores, NO_SEARCH, grades, methods=methods)
    one = rows.set_index(["method", "scoring", "budget", "problem_id"]).sort_index()
    majority = one.loc[("majority", "none", 4)]
    assert (majority["samples"] == 4).all()
    assert (majority["samples_sd"] == 0).all()
    for problem, answers, tokens in (("a", "0110", [10, 20, 20, 30]), ("b", "-022", [5, 6, 7, 7])):
        drawn, spent = [], []
        for order in permutations(range(4)):
            said = [None if answers[i] == "-" else answers[i] for i in order]
            n = next((j for j in range(1, 5) if aggregate.adaptive_consistency_stop(said[:j])), 4)
            drawn.append(n)
            spent.append(sum(tokens[i] for i in order[:n]))
        row = one.loc[("adaptive_consistency", "none", 4, problem)]
        assert row["samples"] == pytest.approx(np.mean(drawn))
        assert row["samples_sd"] == pytest.approx(np.std(drawn))
        assert row["policy_tokens"] == pytest.approx(np.mean(spent))
    bests = rows[rows["method"] == "majority_of_bests"]
    assert set(bests["prm"]) == {"good"}
    assert (bests["prm_tokens"] > 0).all()


def test_a_rule_without_what_it_reads_is_left_out_and_named():
    generations, scores, grades = frames()
    rows = evaluate(
        generations.assign(tokens=np.nan),
        scores,
        NO_SEARCH,
        grades,
        methods=["majority", "shortest_majority", "doubling"],
    )
    assert set(rows["method"]) == {"majority", "doubling"}
    assert "shortest_majority: not evaluated" in " ".join(rows.attrs["notes"])
    assert rows.loc[rows["method"] == "doubling", "policy_tokens"].isna().all()


def test_samples_of_which_it_is_not_known_whether_they_were_cut_have_no_such_vote():
    unknown = replace(SMALL, forced=None)
    assert follow(METHODS["unforced_majority"], unknown, 2, Draws(100, np.arange(4))) is None
    assert follow(METHODS["doubling"], unknown, 2, Draws(100, np.arange(4))) is not None


@pytest.mark.parametrize("name", STOPS)
def test_rounds_are_where_it_may_stop(name):
    assert list(rules.rounds(METHODS[name], 12))[-1] == 12
    stopped = follow(METHODS[name], large(), 12, Draws(300, np.arange(4)))
    assert (stopped.samples <= 12).all()
    expected = {"early_stopping": [5, 10, 12], "doubling": [1, 2, 4, 8, 12]}
    expected["deepconf_online"] = [12]  # fewer than its first ones
    assert list(rules.rounds(METHODS[name], 12)) == expected.get(name, list(range(1, 13)))


def test_a_rule_cannot_look_at_more_than_the_pool():
    generations, scores, grades = frames()
    with pytest.raises(UserError, match="more than the 4 samples"):
        evaluate(generations, scores, NO_SEARCH, grades, methods=["doubling"], pool_budgets=[5])
