"""One scheduler that advances every tree of a job together over one policy and one PRM.

Each tree is a generator (see `tree.py`) that waits for children or for scores. All requests of
trees to the policy are queued at once, and a child is queued for its score as soon as it is there.
A PRM that works in the background reads meanwhile; another one reads batches over many trees, as
soon as at least as many paths wait for it as for the policy. A tree never waits for another one: a
long step delays only its own tree, and a finished tree makes room for the next problem.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from time import perf_counter

from testtime.engines.base import Policy, Prm
from testtime.engines.steps import StepReader
from testtime.search.queues import PolicyQueue, PrmQueue, SearchState, Seconds
from testtime.search.tree import Expand, Program, Tree, ended
from testtime.study.types import (
    Path,
    Sampling,
    SearchResult,
)
from testtime.study.vocabulary import TEXT

MAX_ROWS = 4096  # paths in flight: enough to keep both engines busy, few enough to hold in memory


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
        closed = [self._close(path) for path in paths]
        result = SearchResult(
            problem_id=state.tree.problem.problem_id,
            subtree=state.tree.subtree,
            paths=tuple(path for path in closed if path.kept),
            policy_tokens=state.policy_tokens,
            prm_tokens=state.prm_tokens,
            prompt_tokens=len(state.prompt),
            widths=tuple(state.widths),
            pruned=tuple(path for path in closed if not path.kept),
        )
        self.results.append((state.tree, result))

    def _close(self, path: Path) -> Path:
        """A path as it is returned, with its text; one that could have continued is unfinished."""
        finish = path.finish if ended(path) else "length"
        return replace(path, finish=finish, text=path.text or self.reader.text(path.token_ids))
