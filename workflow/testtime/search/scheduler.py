"""One scheduler that advances every tree of a shard together over one policy and one PRM.

Each tree is a generator (see `tree.py`) that waits for children or for scores. All that trees want
from the policy is queued with it at once; scores are asked for in batches over many trees, as soon
as at least as many paths wait for the PRM as for the policy. A tree never waits for another one: a
long step holds up its own tree only, and a tree that is done makes room for the next problem.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from time import perf_counter

from testtime.engines.base import Policy, Prm
from testtime.engines.steps import StepReader
from testtime.search.desks import Growth, PolicyDesk, PrmDesk, Seconds
from testtime.search.tree import Expand, Program, Tree, ended
from testtime.study.types import Path, Sampling, SearchResult

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
        seconds: Seconds | None = None,
    ):
        self.seconds = Seconds() if seconds is None else seconds
        self.reader = StepReader(policy, separator)
        self.policy = PolicyDesk(policy, self.reader, sampling, step_tokens, self.seconds)
        self.prm = PrmDesk(prm, self.seconds)
        self.max_rows = max_rows
        self.growing = 0
        self.results: list[SearchResult] = []
        self._encode = lru_cache(maxsize=1024)(lambda problem: tuple(policy.encode(problem)))

    def run(self, trees: Iterable[tuple[Tree, Program]]) -> Iterator[SearchResult]:
        """Yield the result of each tree as it completes."""
        waiting = iter(trees)
        more = True
        while more or self.growing:
            started, before = perf_counter(), self.seconds.policy + self.seconds.prm
            while more and (not self.growing or self.policy.rows + self.prm.rows < self.max_rows):
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
        self.growing += 1
        self._resume(Growth(tree, program, self._encode(tree.problem.problem)), None)
        return True

    def _advance(self) -> None:
        """Let the engine run that has more to do, and the trees go on that were served."""
        if self.prm.rows and self.prm.rows >= self.policy.rows:
            ready = self.prm.collect()
        elif self.policy.rows:
            ready = self.policy.collect()
        else:
            return
        for growth, paths in ready:
            self._resume(growth, paths)

    def _resume(self, growth: Growth, answer: list[Path] | None) -> None:
        """Give a tree what it waited for, until it waits for an engine again or is done."""
        while True:
            try:
                growth.ask = growth.program.send(answer)
            except StopIteration as done:
                self._finish(growth, done.value)
                return
            if isinstance(growth.ask, Expand):
                growth.rows = self.policy.order(growth)
                if growth.rows and growth.ask.candidates:
                    growth.widths.append(growth.rows)
                answer = []
            else:
                growth.rows = self.prm.order(growth)
                answer = list(growth.ask.paths)
            if growth.rows:
                return

    def _finish(self, growth: Growth, paths: Sequence[Path]) -> None:
        self.growing -= 1
        self.results.append(
            SearchResult(
                problem_id=growth.tree.problem.problem_id,
                subtree=growth.tree.subtree,
                paths=tuple(self._close(path) for path in paths),
                policy_tokens=growth.policy_tokens,
                prm_tokens=growth.prm_tokens,
                prompt_tokens=len(growth.prompt),
                widths=tuple(growth.widths),
            )
        )

    def _close(self, path: Path) -> Path:
        """A path as it is handed out, with its text; one that could have gone on is unfinished."""
        finish = path.finish if ended(path) else "length"
        return replace(path, finish=finish, text=path.text or self.reader.text(path.token_ids))
