"""What the trees of a job wait for: children of the policy, and scores of the PRM."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

from testtime.engines.base import Policy, Prm
from testtime.engines.steps import StepReader
from testtime.grade.extract import has_box
from testtime.search.tree import Expand, Program, Score, Tree, ended
from testtime.study.seeds import derive
from testtime.study.types import (
    GREEDY,
    Continuation,
    Path,
    Request,
    Sampling,
    ScoreRequest,
    StepScores,
)
from testtime.study.vocabulary import BOXED


@dataclass
class Seconds:
    """How the time of a search was spent."""

    policy: float = 0.0
    prm: float = 0.0
    own: float = 0.0

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Add the time of a block to a part."""
        started = perf_counter()
        yield
        setattr(self, part, getattr(self, part) + perf_counter() - started)

    def __str__(self) -> str:
        total = max(self.policy + self.prm + self.own, 1e-9)
        parts = (("policy", self.policy), ("PRM", self.prm), ("search itself", self.own))
        return ", ".join(f"{name} {s:.1f} s ({s / total:.0%})" for name, s in parts)


@dataclass(eq=False)
class SearchState:
    """A tree under way: its program, what it has asked for, and what it has cost so far.

    Attributes:
        asked: the request that the program waits for.
        paths: the part of the answer that is known.
        missing: number of paths that are still to come, or to get their scores.
        read: what the PRM said of requests since the program asked; equal paths cost once.
        widths: number of candidates at each step.
    """

    tree: Tree
    program: Program
    prompt: tuple[int, ...]
    policy_tokens: int = 0
    prm_tokens: int = 0
    widths: list[int] = field(default_factory=list)
    asked: Expand | Score | None = None
    paths: list[Path | None] = field(default_factory=list)
    missing: int = 0
    read: dict[ScoreRequest, StepScores] = field(default_factory=dict)


@dataclass(frozen=True)
class _Siblings:
    """Children of one parent of a tree, as a part of a request.

    Attributes:
        first: index of the first of them among all children that the tree asked for.
    """

    state: SearchState
    parent: Path
    first: int
    seeds: tuple[int, ...]


class PolicyQueue:
    """The children that trees wait for; those that continue the same tokens share a request.

    Of a policy in the background each child is a request, so that none waits for its siblings.

    Attributes:
        rows: children that were asked for and have not come yet.
    """

    def __init__(
        self,
        policy: Policy,
        prm: "PrmQueue",
        reader: StepReader,
        sampling: Sampling,
        step_tokens: int,
        seconds: Seconds,
        *,
        ends_at: str,
        logprobs: bool,
    ):
        self.policy, self.prm, self.reader, self.seconds = policy, prm, reader, seconds
        self.sampling, self.step_tokens = sampling, step_tokens
        self.ends_at, self.logprobs = ends_at, logprobs
        self.rows = 0
        self._new: dict[tuple, list[_Siblings]] = {}
        # Ticket -> seeds of its children, and who waits for them.
        self._submitted: dict[int, tuple[tuple[int, ...], list[_Siblings]]] = {}

    def add(self, state: SearchState) -> None:
        """Note the children that a tree asks for."""
        asked = state.asked
        sampling = GREEDY if asked.greedy else self.sampling
        limit = self.step_tokens if asked.stop == "step" else state.tree.max_tokens
        state.missing = sum(asked.counts)
        state.paths = [None] * state.missing
        self.rows += state.missing
        first = 0
        for parent, count in zip(asked.parents, asked.counts, strict=True):
            if count:
                seeds = tuple(derive(parent.seed, asked.first + i) for i in range(count))
                key = (state.prompt, parent.token_ids, sampling, asked.stop, limit)
                self._new.setdefault(key, []).append(_Siblings(state, parent, first, seeds))
                first += count

    def submit(self) -> None:
        """Submit all noted children to the policy."""
        with self.seconds.measure("policy"):
            for (prompt, generated, sampling, stop, limit), parts in self._new.items():
                # Trees of nested budgets may ask for the same children: each is drawn once.
                seeds = tuple(dict.fromkeys(seed for part in parts for seed in part.seeds))
                for together in [(s,) for s in seeds] if self.policy.in_background else [seeds]:
                    request = Request(
                        token_ids=prompt + generated,
                        seeds=together,
                        sampling=sampling,
                        stop=stop,
                        max_tokens=limit,
                        first_position=len(generated),
                        logprobs=self.logprobs or stop == "end",
                    )
                    self._submitted[self.policy.submit(request)] = together, parts
        self._new = {}

    def poll(self, *, wait: bool = True) -> list[SearchState]:
        """Run the policy until a request is complete; returns the trees that it completes.

        Args:
            wait: False lets a policy in the background return soon.
        """
        wait = wait or not self.policy.in_background
        with self.seconds.measure("policy"):
            completed = self.policy.poll() if wait else self.policy.poll(wait=False)
        if wait and not completed:
            raise RuntimeError(f"the policy lost {len(self._submitted)} requests")
        served = []
        for ticket, children in completed:
            seeds, parts = self._submitted.pop(ticket)
            drawn = dict(zip(seeds, children, strict=True))
            for part in parts:
                own = [(i, drawn[seed]) for i, seed in enumerate(part.seeds) if seed in drawn]
                self.rows -= len(own)
                self._deliver(part, own)
                if own and not part.state.missing:
                    served.append(part.state)
        return served

    def _deliver(self, part: _Siblings, children: Sequence[tuple[int, Continuation]]) -> None:
        state = part.state
        for number, child in children:
            state.policy_tokens += len(child.token_ids)
            path = self._extend(part.parent, child, part.seeds[number], state.asked)
            state.paths[part.first + number] = path
            if state.asked.scored and len(path.steps) > len(path.scores):
                self.prm.ask(state, part.first + number)
            else:
                state.missing -= 1

    def _extend(self, parent: Path, child: Continuation, seed: int, asked: Expand) -> Path:
        new = self.reader.steps(child.token_ids, child.logprobs)
        tokens, finish = parent.tokens + len(child.token_ids), child.finish
        steps = parent.steps + tuple(step.text for step in new)
        # Only a path that would go on: one that was cut off stays cut off.
        if self.ends_at == BOXED and finish == "step":
            finish = "answer" if has_box(self.reader.separator.join(steps)) else "step"
        step_logprobs, logprob = (), math.nan
        if self.logprobs or asked.stop == "end":
            step_logprobs = parent.step_logprobs + tuple(step.logprob for step in new)
            total = parent.logprob * parent.tokens + sum(child.logprobs)
            logprob = total / tokens if tokens else 0.0
        path = Path(
            steps=steps,
            token_ids=parent.token_ids + tuple(child.token_ids),
            scores=parent.scores,
            step_logprobs=step_logprobs,
            logprob=logprob,
            tokens=tokens,
            read_tokens=parent.read_tokens,
            finish=finish,
            seed=seed,
        )
        return replace(path, text=self.reader.text(path.token_ids)) if ended(path) else path


class PrmQueue:
    """The paths whose newest steps wait for a score; equal requests of trees are read once."""

    def __init__(self, prm: Prm | None, seconds: Seconds):
        self.prm, self.seconds = prm, seconds
        self._tickets: dict[ScoreRequest, int] = {}
        # In request order: for each ticket its request, and trees with the paths that wait for it.
        self._waiting: dict[int, tuple[ScoreRequest, dict[SearchState, list[int]]]] = {}

    @property
    def rows(self) -> int:
        """Number of distinct paths that wait for a score."""
        return len(self._tickets)

    @property
    def in_background(self) -> bool:
        """Whether the PRM reads while others work."""
        return self.prm is not None and self.prm.in_background

    def add(self, state: SearchState) -> None:
        """Submit the paths of a tree that have a new step to the PRM."""
        state.paths = list(state.asked.paths)
        state.missing = len(state.paths)
        for index, path in enumerate(state.paths):
            if len(path.steps) > len(path.scores):
                self.ask(state, index)
            else:
                state.missing -= 1

    def ask(self, state: SearchState, index: int) -> None:
        """Submit a path of a tree, which has a new step, to the PRM."""
        path = state.paths[index]
        request = ScoreRequest(state.tree.problem.problem, path.steps, known=len(path.scores))
        if request in state.read:
            self._deliver(state, [index], replace(state.read[request], tokens=0))
            return
        if request not in self._tickets:
            with self.seconds.measure("prm"):
                self._tickets[request] = self.prm.submit(request)
            self._waiting[self._tickets[request]] = request, {}
        _, waiting = self._waiting[self._tickets[request]]
        waiting.setdefault(state, []).append(index)

    def poll(self, *, wait: bool = True) -> list[SearchState]:
        """Run the PRM until a request is complete; returns the trees that it completes.

        Args:
            wait: False takes what is ready.
        """
        with self.seconds.measure("prm"):
            found = self.prm.poll() if wait else self.prm.poll(wait=False)
        if wait and not found:
            raise RuntimeError(f"the PRM lost {len(self._tickets)} requests")
        served: dict[SearchState, None] = {}
        for ticket, scores in found:
            request, waiting = self._waiting.pop(ticket)
            del self._tickets[request]
            # A request of several trees is charged to each of them, so that a tree's cost does not
            # depend on the others.
            for state, indices in waiting.items():
                state.read[request] = scores
                self._deliver(state, indices, scores)
                served[state] = None
        return [state for state in served if not state.missing]

    def _deliver(self, state: SearchState, indices: list[int], new: StepScores) -> None:
        """Give equal paths of a tree their scores."""
        state.missing -= len(indices)
        state.prm_tokens += new.tokens
        for index in indices:
            path = state.paths[index]
            scores = path.scores + tuple(new.scores)
            # Too long for the PRM: the path keeps the scores that it has and is not continued.
            finish = path.finish if len(scores) == len(path.steps) or ended(path) else "length"
            read = max(path.read_tokens, new.length)
            state.paths[index] = replace(path, scores=scores, finish=finish, read_tokens=read)
