"""Who sits in which row of the running batch, and what each row has generated."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from testtime.engines.prefix_kv import NO_SLOTS
from testtime.types import Continuation, Request

JOB, CHILD, SEED, TRUNK, TRUNK_LENGTH, FED, LIMIT, LAST, STEP_STATE, BY_STEP, FIRST, SAMPLING = (
    range(12)
)
TOKENS = 64  # tokens per row to begin with


@dataclass(eq=False)
class Job:
    """A request under way.

    Attributes:
        limit: most new tokens per child, by the request and by the context.
        next: number of the first child that has not been started.
        left: children that have not finished.
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
    """Rows 0 to n - 1 of the batch, but for the holes that finished children left.

    Attributes:
        state: one column per row, one line per field (JOB, CHILD, ...): the ticket, the child's
            number and seed, trunk, tokens in the trunk and in the branch, limit, the token to feed,
            state of the step automaton, whether it stops at steps, position of the first token,
            kind of sampling.
    """

    def __init__(self, size: int):
        self.size, self.n = size, 0
        self.state = np.zeros((12, size), dtype=np.int64)
        self.holes = np.zeros(0, dtype=np.int64)
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

    def start(self, rows: np.ndarray, job: Job, trunk: int, sampling: int) -> None:
        """Start the job's next children in these rows."""
        request = job.request
        self.state[JOB, rows] = job.ticket
        self.state[TRUNK, rows] = trunk
        self.state[TRUNK_LENGTH, rows] = len(job.slots)
        self.state[LIMIT, rows] = job.limit
        self.state[BY_STEP, rows] = request.stop == "step"
        self.state[FIRST, rows] = request.first_position
        self.state[SAMPLING, rows] = sampling
        self.restart(rows, job)

    def restart(self, rows: np.ndarray, job: Job) -> None:
        """Start the job's next children in rows that the same job had."""
        children = job.take(len(rows))
        seeds = [job.request.seeds[child] % 2**64 for child in children]
        self.state[CHILD, rows] = children
        self.state[SEED, rows] = np.array(seeds, dtype=np.uint64).view(np.int64)
        self.state[LAST, rows] = job.request.token_ids[-1]
        self.state[FED, rows] = 0
        self.state[STEP_STATE, rows] = 0

    def record(self, tokens: np.ndarray, logprobs: np.ndarray) -> None:
        """Append one drawn token to each of the rows, which have no holes."""
        fed = self.state[FED, : self.n]
        if fed.max() >= self.tokens.shape[1]:
            self.tokens = np.concatenate([self.tokens, np.zeros_like(self.tokens)], axis=1)
            self.logprobs = np.concatenate([self.logprobs, np.zeros_like(self.logprobs)], axis=1)
        rows = np.arange(self.n)
        self.tokens[rows, fed] = tokens
        self.logprobs[rows, fed] = logprobs
        self.state[LAST, : self.n] = tokens
        fed += 1

    def generated(self, row: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Tokens and log-probabilities of a row."""
        n = self.state[FED, row]
        return tuple(self.tokens[row, :n].tolist()), tuple(self.logprobs[row, :n].tolist())

    def close_holes(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Move the last rows into the holes; yields (from, to) for whoever has to follow."""
        if not len(self.holes):
            return
        n = self.running
        keep = np.ones(self.n, dtype=bool)
        keep[self.holes] = False
        source, target = n + np.flatnonzero(keep[n:]), np.flatnonzero(~keep[:n])
        if len(source):
            yield source, target
            for array in (self.tokens, self.logprobs):
                array[target] = array[source]
            self.state[:, target] = self.state[:, source]
        self.n, self.holes = n, self.holes[:0]
