"""One scheduler that advances every tree of a job together over one policy and one PRM.

Each tree is a generator (see `tree.py`) that waits for children or for scores. All requests of
trees to the policy are queued at once, and a child is queued for its score as soon as it is there.
A PRM that works in the background reads meanwhile; another one reads batches over many trees, as
soon as at least as many paths wait for it as for the policy. A tree never waits for another one: a
long step delays only its own tree, and a finished tree makes room for the next problem.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
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
    SearchResult,
    StepScores,
)
from testtime.study.vocabulary import BOXED, TEXT

MAX_ROWS = 4096  # paths in flight: enough to keep both engines busy, few enough to hold in memory


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


class Scheduler:
    """Runs the programs of many trees; one instance serves one search."""

    def __init__(
        self,
        policy: Policy,
        prm: Prm | None,
        *,
        sampling: Sampling,
        step_tokens: int,
        separator: str,
        max_rows: int = MAX_ROWS,
        ends_at: str = TEXT,
        logprobs: bool = True,
        seconds: Seconds | None = None,
    ):
        self.seconds = Seconds() if seconds is None else seconds
        self.reader = StepReader(policy, separator)
        self.prm = PrmQueue(prm, self.seconds)
        self.policy = PolicyQueue(
            policy,
            self.prm,
            self.reader,
            sampling,
            step_tokens,
            self.seconds,
            ends_at=ends_at,
            logprobs=logprobs,
        )
        self.max_rows = max_rows
        self.under_way = 0
        self.results: list[tuple[Tree, SearchResult]] = []
        self._encode = lru_cache(maxsize=1024)(lambda problem: tuple(policy.encode(problem)))

    def run(self, trees: Iterable[tuple[Tree, Program]]) -> Iterator[tuple[Tree, SearchResult]]:
        """Yield each tree with its result as it completes."""
        waiting = iter(trees)
        more = True
        while more or self.under_way:
            started, before = perf_counter(), self.seconds.policy + self.seconds.prm
            while more and (not self.under_way or self.policy.rows + self.prm.rows < self.max_rows):
                more = self._admit(waiting)
            self.policy.submit()
            self._advance()
            engines = self.seconds.policy + self.seconds.prm - before
            self.seconds.own += perf_counter() - started - engines
            yield from self.results
            self.results = []

    def _admit(self, waiting: Iterator[tuple[Tree, Program]]) -> bool:
        tree, program = next(waiting, (None, None))
        if tree is None:
            return False
        self.under_way += 1
        self._resume(SearchState(tree, program, self._encode(tree.problem.problem)), None)
        return True

    def _advance(self) -> None:
        """Run the engine that has more to do, or both, then advance the trees that they served."""
        if self.prm.rows and self.policy.rows and self.prm.in_background:
            served = [*self.prm.poll(wait=False), *self.policy.poll(wait=False)]
        elif self.prm.rows and self.prm.rows >= self.policy.rows:
            served = self.prm.poll()
        elif self.policy.rows:
            served = self.policy.poll()
        else:
            return
        for state in served:
            self._resume(state, state.paths)

    def _resume(self, state: SearchState, answer: list[Path] | None) -> None:
        """Give a tree what it asked for, until it waits for an engine again or is done."""
        while True:
            state.read.clear()
            try:
                state.asked = state.program.send(answer)
            except StopIteration as done:
                self._finish(state, done.value)
                return
            if isinstance(state.asked, Expand):
                self.policy.add(state)
                if state.missing and state.asked.candidates:
                    state.widths.append(state.missing)
            else:
                self.prm.add(state)
            if state.missing:
                return
            answer = state.paths

    def _finish(self, state: SearchState, paths: Sequence[Path]) -> None:
        self.under_way -= 1
        result = SearchResult(
            problem_id=state.tree.problem.problem_id,
            subtree=state.tree.subtree,
            paths=tuple(self._close(path) for path in paths),
            policy_tokens=state.policy_tokens,
            prm_tokens=state.prm_tokens,
            prompt_tokens=len(state.prompt),
            widths=tuple(state.widths),
        )
        self.results.append((state.tree, result))

    def _close(self, path: Path) -> Path:
        """A path as it is returned, with its text; one that could have continued is unfinished."""
        finish = path.finish if ended(path) else "length"
        return replace(path, finish=finish, text=path.text or self.reader.text(path.token_ids))


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
