"""What every search keeps, whatever the method: order, costs, seeds, and patience with policies."""

import math
from collections import Counter
from dataclasses import replace
from itertools import groupby

import pytest
from fakes import END, PROMPT, SEPARATOR, FakePolicy, FakePrm, random_tree
from testtime.errors import UserError
from testtime.search.queues import Seconds
from testtime.search.rows import describe, to_table
from testtime.search.run import SearchSettings, search_problems
from testtime.search.tree import select_best
from testtime.study.methods import METHODS, names
from testtime.study.types import Problem, Sampling

PROBLEMS = [Problem(f"p{i}", f"problem {i}") for i in range(12)]
TREES = [name for name in names("search") if name != "adaptive_best_of_n"]
BEAMS = [name for name, method in METHODS.items() if method.beams]
A, B = 2, 3  # two words


def search(policy, prm=None, problems=PROBLEMS, *, call=None, max_rows=4096, **changes):
    settings = {
        "method": "beam_search",
        "budget": 8,
        "beam_width": 4,
        "sampling": Sampling(),
        "step_tokens": 4,
        "max_steps": 5,
        "max_tokens": 20,
        "seed_parts": (1, "dataset", "policy"),
    }
    prm = prm or FakePrm()
    settings = SearchSettings(**(settings | changes))
    return list(search_problems(policy, prm, problems, settings, max_rows=max_rows, **(call or {})))


def fake(order=0, **traits):
    return FakePolicy(random_tree(3, **traits), order=order)


def by_tree(results):
    return {(r.problem_id, r.subtree): r for r in results}


@pytest.mark.parametrize("method", TREES)
def test_shards_batches_and_the_order_of_completion_change_nothing(method):
    together = by_tree(search(fake(), method=method))
    apart = {}
    for shard in range(4):
        results = search(fake(order=shard + 1), None, PROBLEMS[shard::4], method=method, max_rows=9)
        apart |= by_tree(results)
    assert apart == together


@pytest.mark.parametrize("method", TREES)
def test_what_trees_are_charged_is_what_the_engines_did(method):
    policy, prm = fake(words=4), FakePrm()
    results = search(policy, prm, method=method)
    assert sum(result.policy_tokens for result in results) == policy.tokens
    if method == "dvts":  # equal requests of two subtrees are read once and charged to both
        assert sum(result.prm_tokens for result in results) >= prm.tokens
    else:
        assert sum(result.prm_tokens for result in results) == prm.tokens
    assert {result.prompt_tokens for result in results} == {
        len(policy.encode(problem.problem)) for problem in PROBLEMS
    }


@pytest.mark.parametrize("method", BEAMS)
def test_n_over_m_paths_go_to_the_vote(method):
    paths = Counter()
    for result in search(fake(), method=method, budget=16):
        paths[result.problem_id] += len(result.paths)
    assert paths == {problem.problem_id: 4 for problem in PROBLEMS}


@pytest.mark.parametrize("method", ["rebase", "particle_filtering", "adaptive_best_of_n"])
def test_other_methods_give_up_to_n_paths(method, monkeypatch):
    monkeypatch.setattr(
        "testtime.search.adaptive_best_of_n._classify", lambda texts: [0] * len(texts)
    )
    for result in search(fake(), method=method, budget=7):
        assert 1 <= len(result.paths) <= 7


def test_a_finished_beam_leaves_with_its_place():
    policy = fake(p_end=0.3)
    for result in search(policy, budget=16):
        widths = [16, *(4 * n for n in range(4, 0, -1))]
        assert result.widths[0] == widths[0]
        assert set(result.widths[1:]) <= set(widths[1:])
        assert list(result.widths) == sorted(result.widths, reverse=True)


def test_the_first_subtrees_of_a_large_dvts_run_are_the_small_run():
    large = by_tree(search(fake(), method="dvts", budget=32))
    small = by_tree(search(fake(), method="dvts", budget=8))
    block = by_tree(search(fake(), method="dvts", budget=32, call={"subtrees": range(2, 8)}))
    assert small | block == large


def test_only_the_newest_step_is_read():
    prm = FakePrm()
    search(fake(), prm)
    assert any(request.known for request in prm.reads)
    assert all(len(request.steps) == request.known + 1 for request in prm.reads)


def test_identical_siblings_are_read_once_and_keep_their_multiplicity():
    # One word, so all children of a parent that go on are the same text.
    policy, prm = FakePolicy(lambda ids, u: SEPARATOR if ids[-1] == A else A), FakePrm()
    [result] = search(policy, prm, PROBLEMS[:1], budget=8, max_steps=1)
    assert result.widths == (8,)
    assert len(prm.reads) == 1
    assert len(result.paths) == 2
    assert len({path.seed for path in result.paths}) == 2


def test_equal_parents_share_one_request():
    policy = FakePolicy(lambda ids, u: SEPARATOR if ids[-1] == A else A)
    search(policy, problems=PROBLEMS[:1], budget=16, max_steps=3)
    assert [len(request.seeds) for request in policy.requests] == [16, 16, 16]
    assert all(len(set(request.seeds)) == 16 for request in policy.requests)


def test_subtrees_share_the_request_for_their_first_step():
    policy = fake()
    search(policy, problems=PROBLEMS[:1], method="dvts", budget=32)
    assert len(policy.requests[0].seeds) == 32


def test_scores_are_asked_for_in_batches_over_problems():
    prm = FakePrm()
    search(fake(), prm)
    assert prm.batches < len(prm.reads) / 10


def test_a_long_problem_does_not_hold_the_others():
    """Problem 0 completes one request only after all others are through."""
    policy = fake()
    slow = policy.encode(PROBLEMS[0].problem)

    def poll():
        rank = sorted(policy._queue, key=lambda t: policy._queue[t].token_ids[: len(slow)] == slow)
        return [(t, policy._children(policy._queue.pop(t))) for t in rank[:1]]

    policy.poll = poll
    results = search(policy, max_rows=20)
    assert results[-1].problem_id == PROBLEMS[0].problem_id
    assert by_tree(results) == by_tree(search(fake()))


HOSTILE = {
    "bare separators": lambda ids, u: SEPARATOR,
    "endless step": lambda ids, u: A,
    "no separator": lambda ids, u: A if u > 0.1 else END,
    "immediate end": lambda ids, u: END,
    "end or bare separator": lambda ids, u: END if u > 0.5 else SEPARATOR,
    "endless steps": lambda ids, u: SEPARATOR if ids[-1] == A else A,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("habit", HOSTILE)
def test_a_strange_policy_neither_hangs_nor_crashes_a_search(method, habit, monkeypatch):
    monkeypatch.setattr(
        "testtime.search.adaptive_best_of_n._classify", lambda texts: [-1] * len(texts)
    )
    results = search(
        FakePolicy(HOSTILE[habit]), problems=PROBLEMS[:2], method=method, max_tokens=20
    )
    assert {result.problem_id for result in results} == {"p0", "p1"}
    for path in (path for result in results for path in result.paths):
        assert len(path.scores) == (len(path.steps) if METHODS[method].needs_prm else 0)
        assert path.finished == (path.token_ids[-1] == END)
        assert path.finish in {"stop", "length"}
    if habit == "immediate end":
        assert all(path.tokens == 1 and path.steps == () for path in results[0].paths)
    if habit == "endless step" and method in TREES:
        assert all(path.steps == ("aaaa",) for path in results[0].paths)
    if habit == "bare separators" and method in TREES:
        assert all(path.text == "\n\n" * 5 for path in results[0].paths)


def test_a_prompt_that_fills_the_context_gives_unfinished_empty_paths():
    policy = FakePolicy(random_tree(1), context=3)
    for method in TREES:
        for result in search(policy, method=method):
            assert {(p.finish, p.steps, p.tokens) for p in result.paths} == {("length", (), 0)}
            assert result.policy_tokens == result.prm_tokens == 0


def test_a_path_that_gains_no_step_ranks_by_its_parents_score():
    def next_token(ids, u):
        if ids[-1] >= PROMPT:
            return A
        if ids[-1] == A:
            return SEPARATOR
        return B if u < 0.5 and ids.count(SEPARATOR) == 1 else END

    class Sinking(FakePrm):
        def rescore(self, problem, steps):
            return tuple(0.9 / k for k in range(1, len(steps) + 1))

    [result] = search(
        FakePolicy(next_token), Sinking(), PROBLEMS[:1], method="dvts", budget=4, max_steps=3
    )
    assert [(path.steps, path.scores) for path in result.paths] == [(("a",), (0.9,))]


def test_a_path_too_long_for_the_prm_is_kept_unfinished():
    class Short(FakePrm):
        def new_scores(self, request):
            return super().new_scores(request) if len(request.steps) < 3 else ()

    policy = FakePolicy(HOSTILE["endless steps"])
    for result in search(policy, Short()):
        assert {len(path.steps) for path in result.paths} == {3}
        assert {len(path.scores) for path in result.paths} == {2}
        assert {path.finish for path in result.paths} == {"length"}
        assert all(path.text == policy.decode(path.token_ids) != "" for path in result.paths)


def test_an_engine_that_loses_a_request_is_an_error_not_a_hang():
    policy, prm = fake(), FakePrm()
    policy.poll = prm.poll = list
    with pytest.raises(RuntimeError, match="the policy lost"):
        search(policy)
    with pytest.raises(RuntimeError, match="the PRM lost"):
        search(fake(), prm)


@pytest.mark.parametrize("method", TREES)
def test_a_prm_may_answer_in_parts_and_in_any_order(method):
    class Slow(FakePrm):
        """Hands out two results at a time, the newest first."""

        def __init__(self):
            super().__init__()
            self.ready = []

        def poll(self):
            self.ready += super().poll()
            done, self.ready = self.ready[-2:], self.ready[:-2]
            return done[::-1]

    assert by_tree(search(fake(), Slow(), method=method)) == by_tree(search(fake(), method=method))


def test_a_path_is_described_by_its_own_tokens():
    policy = fake()
    for result in search(policy):
        for path in result.paths:
            assert path.tokens == len(path.token_ids)
            assert path.text == policy.decode(path.token_ids)
            assert list(path.steps) == [s for s in path.text.split("\n\n") if s]
            logprobs = [-0.1 * (1 + token) for token in path.token_ids]
            assert path.logprob == pytest.approx(sum(logprobs) / len(logprobs))
            groups = groupby(
                zip(path.token_ids, logprobs, strict=True), key=lambda pair: pair[0] <= SEPARATOR
            )
            assert len(path.step_logprobs) == len([1 for mark, _ in groups if not mark])


def test_rows_say_what_each_path_is_and_what_its_tree_cost():
    results = search(fake(), method="dvts", budget=8)
    rows = to_table((result.problem_id, describe(result)) for result in results)
    rows = rows[rows["kept"]]
    assert list(rows[["problem_id", "subtree"]].itertuples(index=False, name=None)) == sorted(
        (problem.problem_id, k) for problem in PROBLEMS for k in range(2)
    )
    assert (rows["finished"] == (rows["finish"] == "stop")).all()
    assert (rows["scores"].map(len) == rows["steps"].map(len)).all()
    assert (rows["tree_policy_tokens"] >= rows["tokens"]).all()
    empty = to_table([])
    assert list(empty.columns) == list(rows.columns)
    assert empty["seed"].dtype == rows["seed"].dtype == "int64"


@pytest.mark.parametrize("method", BEAMS)
def test_what_was_pruned_is_kept_beside_the_paths_and_changes_nothing_else(method, monkeypatch):
    stored, prm = search(fake(), method=method, budget=8), FakePrm()
    assert sum(len(result.pruned) for result in stored) > 0
    for result in stored:
        seeds = [path.seed for path in (*result.paths, *result.pruned)]
        assert len(set(seeds)) == len(seeds)
        assert all(path.kept for path in result.paths)
        assert all(path.finished and not path.kept for path in result.pruned)

    def forget(candidates, count, values=None):
        return select_best(candidates, count, values), []

    monkeypatch.setattr(f"testtime.search.{method}.prune", forget)
    plain = search(fake(), prm, method=method, budget=8)
    assert plain == [replace(result, pruned=()) for result in stored]


@pytest.mark.parametrize("method", BEAMS)
def test_pruned_candidates_are_rows_after_the_paths_of_their_tree(method):
    results = search(fake(), method=method, budget=8)
    rows = to_table((result.problem_id, describe(result)) for result in results)
    trees = dict(list(rows.groupby(["problem_id", "subtree"])))
    for result in results:
        tree = trees[result.problem_id, result.subtree]
        known = (*result.paths, *result.pruned)
        assert tree["path"].tolist() == list(range(len(known)))
        assert tree["kept"].tolist() == [path.kept for path in known]
        assert tree["text"].tolist() == [path.text for path in known]
        assert tree["scores"].map(tuple).tolist() == [path.scores for path in known]
        assert (tree["tree_policy_tokens"] == result.policy_tokens).all()


def test_progress_and_seconds_follow_the_search():
    class Bar:
        done = 0

        def update(self, n=1):
            self.done += n

    bar, seconds = Bar(), Seconds()
    search(fake(), method="dvts", call={"progress": bar, "seconds": seconds})
    assert bar.done == len(PROBLEMS)
    assert min(seconds.policy, seconds.prm, seconds.own) > 0


def test_no_problems_is_no_results():
    assert search(fake(), problems=[]) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "beam"}, r"method 'beam' is not known; allowed: .*beam_search"),
        ({"budget": 6}, r"budget 6 .* allowed: 4, 8, 12"),
        ({"budget": 0, "method": "rebase"}, r"budget 0 .* allowed: 1, 2, 3"),
        ({"beam_width": 0}, r"beam width 0"),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_one_line(changes, message):
    with pytest.raises(UserError, match=message):
        search(fake(), **changes)


def test_a_method_that_needs_a_prm_says_so():
    settings = SearchSettings(
        "beam_search",
        budget=4,
        sampling=Sampling(),
        step_tokens=4,
        max_steps=4,
        max_tokens=16,
        seed_parts=(),
    )
    with pytest.raises(UserError, match=r"beam_search needs a PRM; .* cot, majority, confidence"):
        search_problems(fake(), None, PROBLEMS, settings)


class Background:
    """An engine in the background: it has one result more each time that it is asked."""

    in_background = True

    def poll(self, *, wait=True):
        self.ready = [*getattr(self, "ready", ()), *super().poll()]
        done, self.ready = self.ready[:1], self.ready[1:]
        return done


class BackgroundPolicy(Background, FakePolicy):
    pass


class BackgroundPrm(Background, FakePrm):
    pass


@pytest.mark.parametrize("method", TREES)
def test_trees_are_the_same_with_engines_in_the_background(method):
    engines = BackgroundPolicy(random_tree(1)), BackgroundPrm()
    expected = search(FakePolicy(random_tree(1)), method=method)
    assert by_tree(search(*engines, method=method)) == by_tree(expected)


def test_in_the_background_no_child_waits_for_its_siblings_nor_the_prm_for_the_policy():
    """Each child is a request of its own, and is read while others are still drawn."""
    policy, prm = BackgroundPolicy(random_tree(1)), BackgroundPrm()
    drawing = []
    submit = prm.submit

    def watched(request):
        drawing.append(len(policy._queue) + len(policy.ready))
        return submit(request)

    prm.submit = watched
    search(policy, prm, method="beam_search")
    assert all(len(request.seeds) == 1 for request in policy.requests)
    assert sum(map(bool, drawing)) > len(drawing) / 2


def test_log_probabilities_of_steps_are_optional():
    kept, left = (search(fake(), logprobs=logprobs) for logprobs in (True, False))
    for one, other in zip(by_tree(kept).values(), by_tree(left).values(), strict=True):
        assert [path.text for path in one.paths] == [path.text for path in other.paths]
        assert all(math.isnan(path.logprob) and not path.step_logprobs for path in other.paths)
    policy = fake()
    search(policy, logprobs=False)
    assert not any(request.logprobs for request in policy.requests)
