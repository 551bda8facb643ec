"""Killable child processes for what may never end: each task costs at most its own limits.

Workers are started as `python -m testtime.grade.worker` and spoken to in JSON lines: no pickle, no
fork of a process with threads, no import of the caller's script.
"""

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from testtime.grade.child import Child, end, receive, send, start

TIME_LIMIT_S = 5.0
MEMORY_LIMIT_MB = 1024
WALL_FACTOR = 20
_GUESS_S = 0.05  # of a comparison, before any is done
_WORTH_S = 1.5  # work per worker that another one is worth its start for
_STUCK_AFTER_S = 2.0
_MOST_FAILED_STARTS = 3
_LOST = "undecided: the worker was lost"


@dataclass(frozen=True)
class Task:
    """An operation of `worker` ("equal", "plain" or "key") and its arguments."""

    op: str
    args: tuple[str, ...]


@dataclass(frozen=True)
class Reply:
    """What a worker found; result is None where it could not decide."""

    result: object
    reason: str


class Pool:
    """Up to `workers` child processes, started when first needed, replaced when they are lost.

    Use as a context manager. Results do not depend on the number of workers.

    Args:
        workers: most processes.
        time_limit_s: processor seconds of one task. One that takes WALL_FACTOR times as long by
            the clock is ended too, whatever it waits for.
        memory_limit_mb: of one process.
    """

    def __init__(
        self,
        workers: int = 2,
        time_limit_s: float = TIME_LIMIT_S,
        memory_limit_mb: int = MEMORY_LIMIT_MB,
    ):
        self.size, self.time_limit_s, self.memory_limit_mb = workers, time_limit_s, memory_limit_mb
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._failed_starts = 0
        self._done, self._seconds = 1, _GUESS_S
        self._finish: Callable[[int, Reply], object] = lambda _index, _reply: None

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_exception) -> None:
        for child in list(self._children):
            self._remove(child)
        self._selector.close()

    @property
    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [child.process.pid for child in self._children]

    def warm(self) -> None:
        """Start one worker, without waiting for it, if none is there."""
        if not self._children:
            self._start()

    def run(
        self, tasks: Iterable[Task], on_reply: Callable[[int, Reply], object] | None = None
    ) -> list[Reply]:
        """Replies in the order of the tasks.

        Args:
            tasks: what to do.
            on_reply: called with (index, reply) as each one arrives.

        Raises:
            RuntimeError: workers cannot be started at all.
        """
        todo = list(tasks)
        waiting = deque(range(len(todo)))
        replies: dict[int, Reply] = {}

        def finish(index: int, reply: Reply) -> None:
            replies[index] = reply
            if on_reply:
                on_reply(index, reply)

        self._finish = finish
        while len(replies) < len(todo):
            self._grow(len(waiting))
            for child in [child for child in self._children if child.idle]:
                if waiting:
                    index = waiting.popleft()
                    child.index = index
                    child.since = time.monotonic()
                    child.deadline = child.since + WALL_FACTOR * self.time_limit_s
                    if not send(child, {"op": todo[index].op, "args": todo[index].args}):
                        self._lose(child, _LOST)
            self._collect()
        return [replies[index] for index in range(len(todo))]

    def _grow(self, waiting: int) -> None:
        """Start workers for what waits: one at once, more where that saves time.

        A worker takes a second of processor time to start, a usual comparison a fiftieth.
        """
        there = len(self._children)
        if not waiting or any(child.idle or not child.ready for child in self._children):
            return
        work = waiting * self._seconds / self._done / max(1, there)
        stuck = all(child.busy_s > _STUCK_AFTER_S for child in self._children)
        if work > _WORTH_S or stuck:
            for _ in range(min(max(1, there), self.size - there, waiting)):
                self._start()

    def _start(self) -> None:
        child = start(self.time_limit_s, self.memory_limit_mb)
        self._children.append(child)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _collect(self) -> None:
        """Wait for replies or the next deadline; end workers that are past theirs."""
        now = time.monotonic()
        waits = [child.deadline - now for child in self._children if not child.idle]
        if len(self._children) < self.size:
            waits.append(_STUCK_AFTER_S)  # to see then whether another worker is needed
        for key, _ in self._selector.select(max(0.0, min(waits, default=0.0))):
            self._read(key.data)
        for child in [child for child in self._children if child.late]:
            self._lose(child, f"undecided: over {WALL_FACTOR * self.time_limit_s:g} s by the clock")

    def _read(self, child: Child) -> None:
        messages = receive(child)
        if messages is None:
            self._lose(child, _LOST)
            return
        for message in messages:
            if message.get("ready"):
                child.ready, self._failed_starts = True, 0
                continue
            index, child.index = child.index, None
            self._done, self._seconds = self._done + 1, self._seconds + message["seconds"]
            self._finish(index, Reply(message["result"], message["reason"]))
            if message.get("stop"):
                self._remove(child)

    def _lose(self, child: Child, reason: str) -> None:
        """Give up a worker, and the task that it has."""
        out_of_time, message = self._remove(child)
        if out_of_time:
            reason = f"undecided: over {self.time_limit_s:g} s"
        if child.index is not None:
            self._finish(child.index, Reply(None, reason))
        elif not child.ready:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise RuntimeError(f"grading workers do not start: {message}")

    def _remove(self, child: Child) -> tuple[bool, str]:
        self._children.remove(child)
        self._selector.unregister(child.process.stdout)
        return end(child)
