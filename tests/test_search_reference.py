"""Search methods against plain implementations, one problem and one path at a time."""

import math
import random
import re
from dataclasses import dataclass

import numpy as np
import pytest
from fakes import WORDS, FakePolicy, FakePrm, random_tree
from testtime.search.run import SearchSettings, search_problems
from testtime.study.methods import METHODS
from testtime.study.seeds import derive, uniforms
from testtime.study.types import Problem, Sampling, ScoreRequest

WORLDS = 200
ENDED = ("stop", "answer")
STEP_TOKENS, MAX_STEPS, M = 4, 5, 2
# Words of every fourth world: a box, one that a brace may close in a later step, that brace.
BOXES = dict(zip(WORDS, ("a", r"\boxed{b}", r"\boxed{c", "}"), strict=True))
BOX = re.compile(r"\\boxed\{[^{}]+\}")


@dataclass(frozen=True)
class Leaf:
    """A path in the reference: its tokens, where it comes from, and how it last ended."""

    ids: tuple[int, ...]
    seed: int
    finish: str = "step"
    scores: tuple[float, ...] = ()


class Reference:
    """Expands and scores as the papers say, without any batching, and counts what that costs."""

    def __init__(
        self, policy: FakePolicy, prm: FakePrm, problem: Problem, seed: int, ends_at: str = "text"
    ):
        self.policy, self.prm, self.problem = policy, prm, problem
        self.ends_at = ends_at
        self.prompt = policy.encode(problem.problem)
        self.root = Leaf((), seed)
        self.policy_tokens = self.prm_tokens = 0
        self.widths, self.pruned = [], []

    def steps(self, leaf):
        text = self.policy.decode(leaf.ids)
        return tuple(step for step in text.split("\n\n") if step)

    def length(self, leaf):
        """Tokens of the text that gives a path its scores."""
        steps = self.steps(leaf)
        return self.prm.cost(ScoreRequest(self.problem.problem, steps)) if steps else 0

    def continue_path(self, leaf, seed, greedy=False):
        child = self.policy.generate(
            self.prompt + leaf.ids,
            seed,
            stop="step",
            max_tokens=STEP_TOKENS,
            first_position=len(leaf.ids),
            greedy=greedy,
        )
        self.policy_tokens += len(child.token_ids)
        ids, finish = leaf.ids + child.token_ids, child.finish
        if self.ends_at == "boxed" and finish == "step" and BOX.search(self.policy.decode(ids)):
            finish = "answer"
        return Leaf(ids, seed, finish, leaf.scores)

    def expand(self, leaves, counts):
        """Candidates of one step; child i of a parent has a seed made of the parent's and i."""
        children = [
            self.continue_path(leaf, derive(leaf.seed, i))
            for leaf, count in zip(leaves, counts, strict=True)
            for i in range(count)
        ]
        self.widths.append(len(children))
        return children

    def score(self, leaves):
        """Rescore whole paths; what an engine with a cache reads is counted once per new text."""
        read = set()
        scored = []
        for leaf in leaves:
            steps = self.steps(leaf)
            if len(steps) > len(leaf.scores):
                read.add(ScoreRequest(self.problem.problem, steps, len(leaf.scores)))
            scores = self.prm.rescore(self.problem.problem, steps)
            scored.append(Leaf(leaf.ids, leaf.seed, leaf.finish, scores))
        self.prm_tokens += sum(self.prm.cost(request) for request in read)
        return scored

    def drop(self, candidates, kept):
        """Note the candidates that ended as the policy or their answer said, and are not kept."""
        seeds = {leaf.seed for leaf in kept}
        self.pruned += [c for c in candidates if c.finish in ENDED and c.seed not in seeds]


def rank(leaf):
    return leaf.scores[-1] if leaf.scores else 0.0


def best(leaves, values, count):
    """The count best, ties to the first, in candidate order."""
    chosen = set()
    for _ in range(min(count, len(leaves))):
        left = [i for i in range(len(leaves)) if i not in chosen]
        chosen.add(max(left, key=lambda i: (values[i], -i)))
    return [leaf for i, leaf in enumerate(leaves) if i in chosen]


def reference_beam_search(ref, n):
    done, beams, width = [], [ref.root], n // M
    for depth in range(MAX_STEPS):
        candidates = ref.score(ref.expand(beams, [n if depth == 0 else M] * len(beams)))
        kept = best(candidates, [rank(c) for c in candidates], width)
        ref.drop(candidates, kept)
        done += [leaf for leaf in kept if leaf.finish != "step"]
        beams = [leaf for leaf in kept if leaf.finish == "step"]
        width -= sum(leaf.finish != "step" for leaf in kept)
        if not beams:
            break
    return done + beams


def reference_dvts(ref, n):
    leaf = ref.root
    for _ in range(MAX_STEPS):
        candidates = ref.score(ref.expand([leaf], [M]))
        [leaf] = best(candidates, [rank(c) for c in candidates], 1)
        ref.drop(candidates, [leaf])
        if leaf.finish != "step":
            break
    return [leaf]


def reference_lookahead(ref, n):
    done, beams, width = [], [ref.root], n // M
    for depth in range(MAX_STEPS):
        candidates = ref.expand(beams, [n if depth == 0 else M] * len(beams))
        ahead = [
            ref.continue_path(leaf, derive(leaf.seed, 0), greedy=True)
            if leaf.finish == "step"
            else leaf
            for leaf in candidates
        ]
        values = [rank(leaf) for leaf in ref.score(ahead)]
        spent = ref.prm_tokens
        candidates = ref.score(candidates)
        ref.prm_tokens = spent  # the rollout's scores contain the candidate's own
        kept = best(candidates, values, width)
        ref.drop(candidates, kept)
        done += [leaf for leaf in kept if leaf.finish != "step"]
        beams = [leaf for leaf in kept if leaf.finish == "step"]
        width -= sum(leaf.finish != "step" for leaf in kept)
        if not beams:
            break
    return done + beams


def reference_rebase(ref, n):
    done, beams, counts = [], [ref.root], [n]
    for _ in range(MAX_STEPS):
        candidates = ref.score(ref.expand(beams, counts))
        done += [leaf for leaf in candidates if leaf.finish != "step"]
        beams = [leaf for leaf in candidates if leaf.finish == "step"]
        if not beams:
            break
        budget, counts = n - len(done), [0] * len(beams)
        waiting = sorted(range(len(beams)), key=lambda i: (-rank(beams[i]), i))
        while waiting:
            total = sum(math.exp(rank(beams[i]) / 0.1) for i in waiting)
            i = waiting.pop(0)
            share = budget * math.exp(rank(beams[i]) / 0.1) / total
            counts[i] = min(budget, math.ceil(share - 1e-6))
            budget -= counts[i]
    return done + beams


def reference_particle_filtering(ref, n):
    particles = ref.score(ref.expand([ref.root], [n]))
    for step in range(1, MAX_STEPS):
        if all(leaf.finish != "step" for leaf in particles):
            break
        logits = [math.log(s / (1 - s)) for s in (max(rank(p), 1e-6) for p in particles)]
        weights = [math.exp(logit) for logit in logits]
        seed = derive(ref.root.seed, "resample", step)
        copies = [0] * n
        for u in uniforms(np.full(n, seed), np.arange(n)):
            below, i = weights[0], 0
            while below <= u * sum(weights) and i < n - 1:
                i += 1
                below += weights[i]
            copies[i] += 1
        done = [p for p, c in zip(particles, copies, strict=True) for _ in range(c)]
        done = [p for p in done if p.finish != "step"]
        beams = [i for i in range(n) if copies[i] and particles[i].finish == "step"]
        grown = ref.expand([particles[i] for i in beams], [copies[i] for i in beams])
        particles = done + ref.score(grown)
    return particles


REFERENCES = {
    "beam_search": reference_beam_search,
    "dvts": reference_dvts,
    "lookahead": reference_lookahead,
    "rebase": reference_rebase,
    "particle_filtering": reference_particle_filtering,
}


def world(number):
    """A random language, a PRM with ties and two problems; every second one is rich in a trait."""
    draw = random.Random(number)
    next_token = random_tree(
        number,
        words=draw.choice([1, 2, 3, 4]),
        p_step=draw.choice([0.3, 0.6]),
        p_end=draw.choice([0.02, 0.2, 0.4]),
        p_bare=draw.choice([0.0, 0.05, 0.2]),
    )
    policy, prm = (
        FakePolicy(next_token, order=number, pieces=None if number % 4 else BOXES),
        FakePrm(number, draw.choice([1, 2, 5, 1000])),
    )
    return policy, prm, [Problem("p", "one"), Problem("q", "another")]


@pytest.mark.parametrize("method", REFERENCES)
def test_a_method_gives_the_paths_scores_and_costs_of_its_plain_reference(method):
    finishes, pruned = set(), 0
    for number in range(WORLDS):
        policy, prm, problems = world(number)
        budget = [2, 4, 8][number % 3]
        ends_at = "text" if number % 8 else "boxed"
        settings = SearchSettings(
            method,
            budget=budget,
            beam_width=M,
            sampling=Sampling(),
            step_tokens=STEP_TOKENS,
            max_steps=MAX_STEPS,
            max_tokens=STEP_TOKENS * MAX_STEPS,
            seed_parts=(number,),
            ends_at=ends_at,
        )
        max_rows = [1, 10, 4096][number % 3]
        results = search_problems(policy, prm, problems, settings, max_rows=max_rows)
        for result in results:
            problem = next(p for p in problems if p.problem_id == result.problem_id)
            own = result.subtree if method == "dvts" else budget
            reference = Reference(
                policy, prm, problem, derive(number, problem.problem_id, method, own), ends_at
            )
            leaves = REFERENCES[method](reference, budget)
            assert [
                (p.token_ids, p.scores, p.seed, p.finish if p.finish != "length" else "open")
                for p in result.paths
            ] == [
                (f.ids, f.scores, f.seed, f.finish if f.finish in ENDED else "open") for f in leaves
            ]
            assert [(p.token_ids, p.scores, p.seed, p.finish) for p in result.pruned] == [
                (f.ids, f.scores, f.seed, f.finish) for f in reference.pruned
            ]
            assert [p.text for p in result.pruned] == [
                policy.decode(f.ids) for f in reference.pruned
            ]
            pruned += len(result.pruned)
            assert [path.steps for path in result.paths] == [reference.steps(f) for f in leaves]
            assert [path.finished for path in result.paths] == [f.finish in ENDED for f in leaves]
            read = [reference.length(f) for f in leaves]
            # A lookahead judges paths that go on by longer texts, which are discarded.
            assert all(path.read_tokens >= n for path, n in zip(result.paths, read, strict=True))
            if method != "lookahead":
                assert [path.read_tokens for path in result.paths] == read
            assert result.policy_tokens == reference.policy_tokens
            assert result.prm_tokens == reference.prm_tokens
            assert result.widths == tuple(filter(None, reference.widths))
            finishes |= {path.finish for path in result.paths}
    assert finishes == {"stop", "length", "answer"}
    assert (pruned > WORLDS) == METHODS[method].beams


def test_the_worlds_hold_ties_duplicates_and_bare_separators():
    traits = {"tie": 0, "duplicate": 0, "bare": 0}
    for number in range(0, WORLDS, 10):
        policy, prm, problems = world(number)
        reference = Reference(policy, prm, problems[0], number)
        children = reference.score(reference.expand([reference.root], [8]))
        scores = [leaf.scores for leaf in children if leaf.scores]
        traits["tie"] += len(set(scores)) < len({leaf.ids for leaf in children})
        traits["duplicate"] += len({leaf.ids for leaf in children}) < len(children)
        traits["bare"] += any(not reference.steps(leaf) for leaf in children)
    assert all(traits.values()), traits
