"""Where trees hand in what they want from the policy and the PRM, and get it back in batches."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from testtime.engines.base import Policy, Prm
from testtime.engines.steps import StepReader
from testtime.search.tree import Expand, Program, Score, Tree, ended
from testtime.study.seeds import derive
from testtime.study.types import Continuation, Path, Request, Sampling, ScoreRequest

GREEDY = Sampling(temperature=0.0)


@dataclass
class Seconds:
    """Where the time of a search went."""

    policy: float = 0.0
    prm: float = 0.0
    own: float = 0.0

    def __str__(self) -> str:
        total = max(self.policy + self.prm + self.own, 1e-9)
        parts = (("policy", self.policy), ("PRM", self.prm), ("search itself", self.own))
        return ", ".join(f"{name} {s:.1f} s ({s / total:.0%})" for name, s in parts)


@dataclass
class Growth:
    """A tree that is growing: its program, what it waits for and what it has cost so far."""

    tree: Tree
    program: Program
    prompt: tuple[int, ...]
    policy_tokens: int = 0
    prm_tokens: int = 0
    widths: list[int] = field(default_factory=list)
    rows: int = 0
    ask: Expand | Score | None = None
    children: dict[int, list[Path]] = field(default_factory=dict)


Ready = list[tuple[Growth, list[Path]]]  # trees that have all they waited for


@dataclass(frozen=True)
class _Share:
    """Which children of a request go to which parent of a tree."""

    growth: Growth
    parent: int
    seeds: tuple[int, ...]


class PolicyDesk:
    """Turns parents to expand into requests: one for all that continue the same tokens."""

    def __init__(
        self,
        policy: Policy,
        reader: StepReader,
        sampling: Sampling,
        step_tokens: int,
        seconds: Seconds,
    ):
        self.policy, self.reader, self.seconds = policy, reader, seconds
        self.sampling, self.step_tokens = sampling, step_tokens
        self.rows = 0  # children that are wanted and not there yet
        self._orders: dict[tuple, list[_Share]] = {}
        self._tickets: dict[int, list[_Share]] = {}

    def order(self, growth: Growth) -> int:
        """Note what a tree wants; returns the number of children it will get."""
        ask, tree = growth.ask, growth.tree
        growth.children = {}
        sampling = GREEDY if ask.greedy else self.sampling
        limit = self.step_tokens if ask.stop == "step" else tree.max_tokens
        for parent, (path, count) in enumerate(zip(ask.parents, ask.counts, strict=True)):
            growth.children[parent] = []
            if count:
                seeds = tuple(derive(path.seed, i) for i in range(ask.first, ask.first + count))
                key = (growth.prompt, path.token_ids, sampling, ask.stop, limit)
                self._orders.setdefault(key, []).append(_Share(growth, parent, seeds))
        wanted = sum(ask.counts)
        self.rows += wanted
        return wanted

    def submit(self) -> None:
        """Queue all that was ordered with the policy."""
        started = perf_counter()
        for (prompt, generated, sampling, stop, limit), shares in self._orders.items():
            seeds = tuple(seed for share in shares for seed in share.seeds)
            request = Request(
                token_ids=prompt + generated,
                seeds=seeds,
                sampling=sampling,
                stop=stop,
                max_tokens=limit,
                first_position=len(generated),
            )
            self._tickets[self.policy.submit(request)] = shares
        self._orders = {}
        self.seconds.policy += perf_counter() - started

    def collect(self) -> Ready:
        """Let the policy run until a request is complete; returns the trees that are complete."""
        started = perf_counter()
        completed = self.policy.poll()
        self.seconds.policy += perf_counter() - started
        if not completed:
            raise RuntimeError(f"the policy lost {len(self._tickets)} requests")
        ready: Ready = []
        for ticket, continuations in completed:
            self.rows -= len(continuations)
            position = 0
            for share in self._tickets.pop(ticket):
                end = position + len(share.seeds)
                self._deliver(share, continuations[position:end], ready)
                position = end
        return ready

    def _deliver(self, share: _Share, children: Sequence[Continuation], ready: Ready) -> None:
        growth = share.growth
        growth.policy_tokens += sum(len(child.token_ids) for child in children)
        growth.rows -= len(children)
        parent = growth.ask.parents[share.parent]
        growth.children[share.parent] = [
            self._extend(parent, child, seed)
            for child, seed in zip(children, share.seeds, strict=True)
        ]
        if growth.rows == 0:
            ready.append((growth, [p for group in growth.children.values() for p in group]))

    def _extend(self, parent: Path, child: Continuation, seed: int) -> Path:
        new = self.reader.steps(child.token_ids, child.logprobs)
        tokens = parent.tokens + len(child.token_ids)
        total = parent.logprob * parent.tokens + sum(child.logprobs)
        path = Path(
            steps=parent.steps + tuple(step.text for step in new),
            token_ids=parent.token_ids + tuple(child.token_ids),
            scores=parent.scores,
            step_logprobs=parent.step_logprobs + tuple(step.logprob for step in new),
            logprob=total / tokens if tokens else 0.0,
            tokens=tokens,
            finish=child.finish,
            seed=seed,
        )
        return replace(path, text=self.reader.text(path.token_ids)) if ended(path) else path


class PrmDesk:
    """Collects the paths whose newest steps want a score; equal ones are read once."""

    def __init__(self, prm: Prm | None, seconds: Seconds):
        self.prm, self.seconds = prm, seconds
        self._places: dict[ScoreRequest, int] = {}
        self._orders: list[tuple[Growth, list[int | None]]] = []

    @property
    def rows(self) -> int:
        """Different paths that wait for a score."""
        return len(self._places)

    def order(self, growth: Growth) -> int:
        """Note what a tree wants; returns the number of different paths to score."""
        places = [self._place(growth.tree, path) for path in growth.ask.paths]
        wanted = len(set(places) - {None})
        if wanted:
            self._orders.append((growth, places))
        return wanted

    def _place(self, tree: Tree, path: Path) -> int | None:
        """Where in the next batch a path's score will be; None if it has no new step."""
        if len(path.steps) == len(path.scores):
            return None
        request = ScoreRequest(tree.problem.problem, path.steps, known=len(path.scores))
        return self._places.setdefault(request, len(self._places))

    def collect(self) -> Ready:
        """Score all that wait; returns the trees that asked.

        A request of several trees is read once but charged to each of them, so that a tree costs
        the same whatever runs beside it.
        """
        requests, orders = list(self._places), self._orders
        self._places, self._orders = {}, []
        started = perf_counter()
        answers = self.prm.score(requests)
        self.seconds.prm += perf_counter() - started
        ready: Ready = []
        for growth, places in orders:
            growth.prm_tokens += sum(answers[place].tokens for place in set(places) - {None})
            paths = [
                path if place is None else _with_scores(path, answers[place].scores)
                for path, place in zip(growth.ask.paths, places, strict=True)
            ]
            ready.append((growth, paths))
        return ready


def _with_scores(path: Path, new: tuple[float, ...]) -> Path:
    scores = path.scores + tuple(new)
    # Too long for the PRM: it keeps the scores that it has and goes no further.
    finish = path.finish if len(scores) == len(path.steps) or ended(path) else "length"
    return replace(path, scores=scores, finish=finish)
