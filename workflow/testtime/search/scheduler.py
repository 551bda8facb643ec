"""One scheduler that advances every tree of a job together over one policy and one PRM.

Each tree is a generator (see `tree.py`) that waits for children or for scores. All requests of
trees to the policy are queued at once; scores are requested in batches over many trees, as soon as
at least as many paths wait for the PRM as for the policy. A tree never waits for another one: a
long step delays only its own tree, and a finished tree makes room for the next problem.
"""

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
        missing: number of children, or of distinct paths' scores, still to come.
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
        ends_at: str = TEXT,
        max_rows: int = MAX_ROWS,
        seconds: Seconds | None = None,
    ):
        self.seconds = Seconds() if seconds is None else seconds
        self.reader = StepReader(policy, separator)
        self.policy = PolicyQueue(policy, self.reader, sampling, step_tokens, self.seconds, ends_at)
        self.prm = PrmQueue(prm, self.seconds)
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
        """Run the engine that has more to do, then advance the trees that it served."""
        if self.prm.rows and self.prm.rows >= self.policy.rows:
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

    Attributes:
        rows: children that were asked for and have not come yet.
    """

    def __init__(
        self,
        policy: Policy,
        reader: StepReader,
        sampling: Sampling,
        step_tokens: int,
        seconds: Seconds,
        ends_at: str = TEXT,
    ):
        self.policy, self.reader, self.seconds = policy, reader, seconds
        self.sampling, self.step_tokens, self.ends_at = sampling, step_tokens, ends_at
        self.rows = 0
        self._new: dict[tuple, list[_Siblings]] = {}
        self._submitted: dict[int, list[_Siblings]] = {}

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
                seeds = dict.fromkeys(seed for part in parts for seed in part.seeds)
                request = Request(
                    token_ids=prompt + generated,
                    seeds=tuple(seeds),
                    sampling=sampling,
                    stop=stop,
                    max_tokens=limit,
                    first_position=len(generated),
                )
                self._submitted[self.policy.submit(request)] = parts
        self._new = {}

    def poll(self) -> list[SearchState]:
        """Run the policy until a request is complete; returns the trees with all their children."""
        with self.seconds.measure("policy"):
            completed = self.policy.poll()
        if not completed:
            raise RuntimeError(f"the policy lost {len(self._submitted)} requests")
        served = []
        for ticket, children in completed:
            parts = self._submitted.pop(ticket)
            seeds = dict.fromkeys(seed for part in parts for seed in part.seeds)
            drawn = dict(zip(seeds, children, strict=True))
            for part in parts:
                self.rows -= len(part.seeds)
                self._deliver(part, [drawn[seed] for seed in part.seeds])
                if not part.state.missing:
                    served.append(part.state)
        return served

    def _deliver(self, part: _Siblings, children: Sequence[Continuation]) -> None:
        state = part.state
        state.policy_tokens += sum(len(child.token_ids) for child in children)
        state.missing -= len(children)
        state.paths[part.first : part.first + len(children)] = [
            self._extend(part.parent, child, seed)
            for child, seed in zip(children, part.seeds, strict=True)
        ]

    def _extend(self, parent: Path, child: Continuation, seed: int) -> Path:
        new = self.reader.steps(child.token_ids, child.logprobs)
        tokens = parent.tokens + len(child.token_ids)
        total = parent.logprob * parent.tokens + sum(child.logprobs)
        steps, finish = parent.steps + tuple(step.text for step in new), child.finish
        # Only a path that would go on: one that was cut off stays cut off.
        if self.ends_at == BOXED and finish == "step":
            finish = "answer" if has_box(self.reader.separator.join(steps)) else "step"
        path = Path(
            steps=steps,
            token_ids=parent.token_ids + tuple(child.token_ids),
            scores=parent.scores,
            step_logprobs=parent.step_logprobs + tuple(step.logprob for step in new),
            logprob=total / tokens if tokens else 0.0,
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
        # In request order: trees, with the paths that wait for each ticket.
        self._waiting: dict[SearchState, dict[int, list[int]]] = {}

    @property
    def rows(self) -> int:
        """Number of distinct paths that wait for a score."""
        return len(self._tickets)

    def add(self, state: SearchState) -> None:
        """Submit the paths of a tree that have a new step to the PRM."""
        state.paths = list(state.asked.paths)
        waiting: dict[int, list[int]] = {}
        for index, path in enumerate(state.paths):
            if len(path.steps) > len(path.scores):
                problem = state.tree.problem.problem
                request = ScoreRequest(problem, path.steps, known=len(path.scores))
                waiting.setdefault(self._submit(request), []).append(index)
        state.missing = len(waiting)
        if waiting:
            self._waiting[state] = waiting

    def _submit(self, request: ScoreRequest) -> int:
        if request not in self._tickets:
            with self.seconds.measure("prm"):
                self._tickets[request] = self.prm.submit(request)
        return self._tickets[request]

    def poll(self) -> list[SearchState]:
        """Run the PRM until a request is complete; returns the trees with all their scores."""
        with self.seconds.measure("prm"):
            found = dict(self.prm.poll())
        if not found:
            raise RuntimeError(f"the PRM lost {len(self._tickets)} requests")
        self._tickets = {r: ticket for r, ticket in self._tickets.items() if ticket not in found}
        for state, waiting in self._waiting.items():
            for ticket in waiting.keys() & found.keys():
                self._deliver(state, waiting.pop(ticket), found[ticket])
        served = [state for state in self._waiting if not state.missing]
        for state in served:
            del self._waiting[state]
        return served

    def _deliver(self, state: SearchState, indices: list[int], new: StepScores) -> None:
        """Give paths of a tree their scores.

        A request of several trees is charged to each of them, so that a tree's cost does not depend
        on the others.
        """
        state.missing -= 1
        state.prm_tokens += new.tokens
        for index in indices:
            path = state.paths[index]
            scores = path.scores + tuple(new.scores)
            # Too long for the PRM: the path keeps the scores that it has and is not continued.
            finish = path.finish if len(scores) == len(path.steps) or ended(path) else "length"
            read = max(path.read_tokens, new.length)
            state.paths[index] = replace(path, scores=scores, finish=finish, read_tokens=read)
