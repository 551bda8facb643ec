"""Who sits in which row of the running batch, and what each row has generated."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from testtime.engines.transformers.prefix_kv import NO_SLOTS
from testtime.study.types import Continuation, Request

JOB, CHILD, SEED, TRUNK, TRUNK_LENGTH, FED = range(6)
LIMIT, LAST, STEP_STATE, BY_STEP, FIRST, SAMPLING = range(6, 12)
TOKENS = 64  # tokens per row to begin with


@dataclass(eq=False)
class Job:
    """A request under way.

    Attributes:
        limit: most new tokens per child, by the request and by the context.
        left: children that have not finished.
        next: number of the first child that has not been started.
        slots: of its token ids but the last in the pool of prefixes.
        known: how many of the slots were known before.
    """

    ticket: int
    request: Request
    limit: int
    children: list[Continuation | None]
    left: int
    next: int = 0
    slots: np.ndarray = field(default_factory=lambda: NO_SLOTS)
    known: int = 0

    @property
    def waiting(self) -> int:
        """Children that have not been started."""
        return len(self.children) - self.next

    def take(self, count: int) -> range:
        """Numbers of the next children to start."""
        self.next += count
        return range(self.next - count, self.next)


class Rows:
    """Rows 0 to n - 1, but for the holes that children left.

    Attributes:
        state: one line per field, one column per row: ticket of the job, number and seed of the
            child, trunk, tokens in the trunk and in the branch, limit, the token to feed next,
            state of the step automaton, whether it stops at steps, position of the first token,
            kind of sampling.
        tokens, logprobs: what each row has generated.
    """

    def __init__(self, size: int):
        self.n = 0
        self.holes = np.zeros(0, dtype=np.int64)
        self.state = np.zeros((12, size), dtype=np.int64)
        self.tokens = np.zeros((size, TOKENS), dtype=np.int32)
        self.logprobs = np.zeros((size, TOKENS), dtype=np.float32)

    @property
    def running(self) -> int:
        """Rows that are in use."""
        return self.n - len(self.holes)

    def take(self, count: int) -> np.ndarray:
        """Numbers of rows to use, holes first."""
        holes, self.holes = self.holes[:count], self.holes[count:]
        new = np.arange(self.n, self.n + count - len(holes))
        self.n += len(new)
        return np.concatenate([holes, new])

    def leave(self, rows: np.ndarray) -> None:
        """These rows are not in use any more."""
        self.holes = np.concatenate([self.holes, rows])

    def start(self, rows: np.ndarray, job: Job, trunk: int, sampling: int) -> None:
        """Start the job's next children in these rows, all on one trunk."""
        request, by_step = job.request, job.request.stop == "step"
        column = [job.ticket, 0, 0, trunk, len(job.slots), 0]
        column += [job.limit, 0, 0, by_step, request.first_position, sampling]
        self.state[:, rows] = np.array(column)[:, None]
        self.begin(rows, [job] * len(rows), job.take(len(rows)))

    def begin(self, rows: np.ndarray, jobs: Sequence[Job], children: Sequence[int]) -> None:
        """Set what differs between children of one job."""
        requests = [job.request for job in jobs]
        seeds = [q.seeds[child] % 2**64 for q, child in zip(requests, children, strict=True)]
        self.state[CHILD, rows] = children
        self.state[SEED, rows] = np.array(seeds, dtype=np.uint64).view(np.int64)
        self.state[LAST, rows] = [request.token_ids[-1] for request in requests]
        self.state[FED, rows] = 0
        self.state[STEP_STATE, rows] = 0

    def record(self, tokens: np.ndarray, logprobs: np.ndarray) -> None:
        """Append one drawn token to each of the rows, which have no holes."""
        fed = self.state[FED, : self.n]
        self.widen(int(fed.max()) + 1)
        rows = np.arange(self.n)
        self.tokens[rows, fed] = tokens
        self.logprobs[rows, fed] = logprobs
        self.state[LAST, : self.n] = tokens
        fed += 1

    def generated(self, row: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Tokens and log-probabilities of a row."""
        n = self.state[FED, row]
        return tuple(self.tokens[row, :n].tolist()), tuple(self.logprobs[row, :n].tolist())

    def copy(self, source: np.ndarray, to: "Rows", target: np.ndarray) -> None:
        """Copy rows `source` over rows `target` of `to`."""
        width = self.tokens.shape[1]
        to.widen(width)
        to.state[:, target] = self.state[:, source]
        to.tokens[target, :width] = self.tokens[source]
        to.logprobs[target, :width] = self.logprobs[source]

    def close(self) -> tuple[np.ndarray, np.ndarray]:
        """Move the last rows into the holes; returns which rows moved, and where."""
        n = self.running
        keep = np.ones(self.n, dtype=bool)
        keep[self.holes] = False
        source, target = n + np.flatnonzero(keep[n:]), np.flatnonzero(~keep[:n])
        if len(source):
            self.copy(source, self, target)
        self.n, self.holes = n, self.holes[:0]
        return source, target

    def widen(self, tokens: int) -> None:
        """Make room for so many tokens per row."""
        while tokens > self.tokens.shape[1]:
            self.tokens = np.concatenate([self.tokens, np.zeros_like(self.tokens)], axis=1)
            self.logprobs = np.concatenate([self.logprobs, np.zeros_like(self.logprobs)], axis=1)
