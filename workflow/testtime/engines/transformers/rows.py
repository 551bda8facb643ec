"""Rows of the running batch: what they generate, and where their keys and values are."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from transformers import PreTrainedModel

from testtime.engines.transformers.attention import Span
from testtime.engines.transformers.kv import NO_SLOTS, DenseKv, KvStore
from testtime.study.types import Continuation, Request

FIRST_BUCKET, BUCKET_GROWTH = 32, 2


@dataclass(eq=False)
class Job:
    """A request under way.

    Attributes:
        limit: most new tokens per child, by the request and by the context.
        next: number of the first child that has not been started.
        slots: in the store, of its token ids except the last, once it has been started.
    """

    ticket: int
    request: Request
    limit: int
    next: int = 0
    slots: np.ndarray = field(default_factory=lambda: NO_SLOTS)
    children: dict[int, Continuation] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Children that have not been started."""
        return len(self.request.seeds) - self.next

    @property
    def complete(self) -> list[Continuation] | None:
        """All children in seed order; None until all have finished."""
        count = len(self.request.seeds)
        return [self.children[i] for i in range(count)] if len(self.children) == count else None


class Rows:
    """The state of the batch's rows, one entry per row in every array.

    Attributes:
        used: whether a child is in the row.
        ticket, child, seed: of the child.
        bucket, place: where its keys and values are.
        prefix, known: number of the prefix it continues, and the tokens in it.
        fed: tokens it has been fed after its prefix.
        limit: most tokens it may generate.
        first: index of its first new token in its sample.
        sampling: index of its sampling settings.
        by_step, step_state: whether it ends with a step, and its position in the step.
        last: token to feed next.
        tokens, logprobs: what it has generated, (rows, context).
    """

    def __init__(self, size: int, context: int):
        self.used = np.zeros(size, dtype=bool)
        self.ticket = np.zeros(size, dtype=np.int64)
        self.child = np.zeros(size, dtype=np.int64)
        self.seed = np.zeros(size, dtype=np.uint64)
        self.bucket = np.zeros(size, dtype=np.int64)
        self.place = np.zeros(size, dtype=np.int64)
        self.prefix = np.zeros(size, dtype=np.int64)
        self.known = np.zeros(size, dtype=np.int64)
        self.fed = np.zeros(size, dtype=np.int64)
        self.limit = np.zeros(size, dtype=np.int64)
        self.first = np.zeros(size, dtype=np.int64)
        self.sampling = np.zeros(size, dtype=np.int64)
        self.by_step = np.zeros(size, dtype=bool)
        self.step_state = np.zeros(size, dtype=np.int64)
        self.last = np.zeros(size, dtype=np.int64)
        self.tokens = np.zeros((size, context), dtype=np.int32)
        self.logprobs = np.zeros((size, context), dtype=np.float32)

    def begin(self, indices: Sequence[int], job: Job) -> None:
        """Start the job's next children in these rows, on the prefix that the rows have."""
        first, job.next = job.next, job.next + len(indices)
        self.used[indices] = True
        self.child[indices] = range(first, job.next)
        self.seed[indices] = [seed % 2**64 for seed in job.request.seeds[first : job.next]]
        self.last[indices] = job.request.token_ids[-1]
        self.fed[indices] = self.step_state[indices] = 0

    def generated(self, row: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Tokens and log-probabilities of a row."""
        n = self.fed[row]
        return tuple(self.tokens[row, :n].tolist()), tuple(self.logprobs[row, :n].tolist())


class Buckets:
    """Keys and values of rows, in one dense tensor for each range of lengths.

    So short rows, which are most of them, are neither read nor stored at the length of the longest.
    With one tensor for all, the two smaller of the shipped policies take 1.2 and 1.3 times as much
    CPU time for sampling, the two larger 1.0 and 1.06 times; a search takes the same.
    """

    def __init__(self, model: PreTrainedModel, size: int, context: int):
        self._bounds = [FIRST_BUCKET]  # the most tokens of a row
        while self._bounds[-1] < context:
            self._bounds.append(self._bounds[-1] * BUCKET_GROWTH)
        self._kv = [DenseKv(model) for _ in self._bounds]

    def arrange(self, rows: Rows) -> tuple[list[Span], np.ndarray]:
        """Give each row in use a place in the bucket for its length, without gaps.

        Returns:
            The rows of each bucket as a span of a step, and the rows in the order of the step.
        """
        wanted = np.searchsorted(self._bounds, rows.fed, side="right")
        spans, order, stop = [], [], 0
        # From the last: rows that a bucket takes over are still untouched in the one before.
        for number in range(len(self._bounds) - 1, -1, -1):
            members = np.flatnonzero(rows.used & (wanted == number))
            if not len(members):
                continue
            self._kv[number].fit(len(members), int(rows.fed[members].max()) + 1)
            stay = (
                (rows.bucket[members] == number)
                & (rows.place[members] < len(members))
                & (rows.fed[members] > 0)
            )
            moved, vacant = members[~stay], np.ones(len(members), dtype=bool)
            vacant[rows.place[members[stay]]] = False
            places = np.flatnonzero(vacant)
            for source in {number, max(0, number - 1)}:
                old = (rows.bucket[moved] == source) & (rows.fed[moved] > 0)
                if old.any():
                    length = int(rows.fed[moved[old]].max())
                    self._kv[source].move(
                        rows.place[moved[old]], self._kv[number], places[old], length
                    )
            rows.bucket[moved], rows.place[moved] = number, places
            order.append(members[np.argsort(rows.place[members])])
            spans.append(Span(self._kv[number], stop, stop + len(members)))
            stop += len(members)
        return spans, np.concatenate(order)

    def save(self, rows: Rows, indices: np.ndarray, store: KvStore, slots: np.ndarray) -> None:
        """Copy the keys and values of these rows, sorted by bucket, into slots of the store."""
        for number in np.unique(rows.bucket[indices]):
            members = indices[rows.bucket[indices] == number]
            n = rows.fed[members].sum()
            self._kv[number].save(rows.place[members], rows.fed[members], store, slots[:n])
            slots = slots[n:]
