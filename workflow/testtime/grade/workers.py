"""Killable child processes for tasks that may never end: each task costs at most its limits.

Workers are started as `python -m testtime.grade.worker` and exchange JSON lines: no pickle, no fork
of a process with threads, no import of the caller's script.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from testtime.grade import worker

# Those of config.yaml: a verdict is the same by command and in a study.
TIME_LIMIT_S = 5.0
MEMORY_LIMIT_MB = 2048
WALL_FACTOR = 20
START_LIMIT_S = 120.0
_PACKAGE = Path(__file__).resolve().parents[2]
_GUESS_S = 0.05  # estimate for a comparison, before any is done
_WORTH_S = 1.5  # work per worker that makes starting another one worthwhile
_STUCK_AFTER_S = 2.0
_MOST_FAILED_STARTS = 3
_MOST_KNOWN = 100_000  # replies that are cached
_LOST = "undecided: the worker was lost"


@dataclass(frozen=True)
class Task:
    """An operation of `worker` ("equal", "plain" or "value") and its arguments."""

    op: str
    args: tuple[str, ...]


@dataclass(frozen=True)
class Reply:
    """A worker's reply; result is None if it could not decide."""

    result: object
    reason: str


@dataclass
class _Child:
    """A worker process and what it is doing.

    Attributes:
        ready: whether it has reported that it can take tasks.
        index: of its current task, or None.
        since: when it got that task, on the monotonic clock.
        deadline: when it is killed while starting or working on a task.
        pending: the beginning of an incomplete line.
    """

    process: subprocess.Popen
    errors: IO[bytes]
    ready: bool = False
    index: int | None = None
    since: float = 0.0
    deadline: float = 0.0
    pending: bytearray = field(default_factory=bytearray)

    @property
    def idle(self) -> bool:
        """Whether it could take a task."""
        return self.ready and self.index is None

    @property
    def busy_s(self) -> float:
        """Seconds since it got its task; 0 without one."""
        return 0.0 if self.index is None else time.monotonic() - self.since

    @property
    def late(self) -> bool:
        """Whether it has used up its time."""
        return not self.idle and time.monotonic() > self.deadline


def _start(time_limit_s: float, memory_limit_mb: int) -> _Child:
    """Start a worker; it says when it is ready."""
    paths = [str(_PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    # An unread pipe would fill and block.
    errors = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        # -P: a file sympy.py in the working directory must not be imported.
        [
            sys.executable,
            "-P",
            "-m",
            worker.__name__,
            str(memory_limit_mb),
            str(time_limit_s),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
    )
    os.set_blocking(process.stdout.fileno(), False)
    return _Child(process, errors, deadline=time.monotonic() + START_LIMIT_S)


def _send(child: _Child, message: object) -> bool:
    """Write one line; returns whether the child was alive to take it."""
    try:
        child.process.stdin.write((json.dumps(message) + "\n").encode())
        child.process.stdin.flush()
    except BrokenPipeError:
        return False
    return True


def _receive(child: _Child) -> list[dict] | None:
    """The lines that have arrived, or None if the child is gone."""
    chunk = os.read(child.process.stdout.fileno(), 1 << 16)
    if not chunk:
        return None
    *lines, rest = (bytes(child.pending) + chunk).split(b"\n")
    child.pending = bytearray(rest)
    return [json.loads(line) for line in lines]


def _end(child: _Child) -> tuple[bool, str]:
    """Kill the child and wait for it.

    Returns:
        Whether it had run out of processor time, and the end of its standard error.
    """
    child.process.kill()
    out_of_time = child.process.wait() == -signal.SIGPROF
    with contextlib.suppress(BrokenPipeError):
        child.process.stdin.close()
    child.process.stdout.close()
    child.errors.seek(0)
    message = child.errors.read().decode(errors="replace").strip()
    child.errors.close()
    return out_of_time, message[-500:]


class Workers:
    """Up to `workers` child processes, started when first needed, replaced when lost.

    Use as a context manager. Results do not depend on the number of workers. A task is done once:
    its reply is cached, even if it could not be decided, so nothing uses up a limit twice.

    Args:
        workers: most processes.
        time_limit_s: processor seconds of one task. One that takes WALL_FACTOR times as long by the
            clock is killed too.
        memory_limit_mb: of one process.
    """

    def __init__(
        self,
        workers: int = 2,
        time_limit_s: float = TIME_LIMIT_S,
        memory_limit_mb: int = MEMORY_LIMIT_MB,
    ):
        self.size, self.time_limit_s, self.memory_limit_mb = workers, time_limit_s, memory_limit_mb
        self._children: list[_Child] = []
        self._selector = selectors.DefaultSelector()
        self._failed_starts = 0
        self._done, self._seconds = 1, _GUESS_S
        self._finish: Callable[[int, Reply], object] = lambda _index, _reply: None
        self._known: dict[Task, Reply] = {}

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_exception) -> None:
        for child in list(self._children):
            self._remove(child)
        self._selector.close()

    def run(
        self, tasks: Iterable[Task], on_reply: Callable[[int, Reply], object] | None = None
    ) -> list[Reply]:
        """Replies in the order of the tasks.

        Args:
            tasks: what to do.
            on_reply: called with (index, reply) as each new one arrives.

        Raises:
            RuntimeError: workers cannot be started at all.
        """
        asked = list(tasks)
        distinct = set(asked)
        known = {task: self._known[task] for task in asked if task in self._known}
        todo = [task for task in dict.fromkeys(asked) if task not in known]
        waiting = deque(range(len(todo)))

        def finish(index: int, reply: Reply) -> None:
            known[todo[index]] = reply
            if on_reply:
                on_reply(index, reply)

        self._finish = finish
        while len(known) < len(distinct):
            self._grow(len(waiting))
            for child in [child for child in self._children if child.idle]:
                if waiting:
                    index = waiting.popleft()
                    child.index = index
                    child.since = time.monotonic()
                    child.deadline = child.since + WALL_FACTOR * self.time_limit_s
                    if not _send(child, {"op": todo[index].op, "args": todo[index].args}):
                        self._lose(child, _LOST)
            self._collect()
        full = len(self._known) + len(todo) > _MOST_KNOWN
        self._known = known if full else self._known | known
        return [known[task] for task in asked]

    def _grow(self, waiting: int) -> None:
        """Start workers for the waiting tasks: one at once, more if that saves time.

        A worker takes a second of processor time to start, a typical comparison a fiftieth.
        """
        running = len(self._children)
        if not waiting or any(child.idle or not child.ready for child in self._children):
            return
        work = waiting * self._seconds / self._done / max(1, running)
        stuck = all(child.busy_s > _STUCK_AFTER_S for child in self._children)
        if work > _WORTH_S or stuck:
            for _ in range(min(max(1, running), self.size - running, waiting)):
                self._start()

    def _start(self) -> None:
        child = _start(self.time_limit_s, self.memory_limit_mb)
        self._children.append(child)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _collect(self) -> None:
        """Wait for replies or the next deadline; kill workers that are past theirs."""
        now = time.monotonic()
        waits = [child.deadline - now for child in self._children if not child.idle]
        if len(self._children) < self.size:
            waits.append(_STUCK_AFTER_S)  # to see then whether another worker is needed
        for key, _ in self._selector.select(max(0.0, min(waits, default=0.0))):
            self._read(key.data)
        for child in [child for child in self._children if child.late]:
            self._lose(child, f"undecided: over {WALL_FACTOR * self.time_limit_s:g} s by the clock")

    def _read(self, child: _Child) -> None:
        messages = _receive(child)
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

    def _lose(self, child: _Child, reason: str) -> None:
        """Give up a worker and its task."""
        out_of_time, message = self._remove(child)
        if out_of_time:
            reason = f"undecided: over {self.time_limit_s:g} s"
        if child.index is not None:
            self._finish(child.index, Reply(None, reason))
        elif not child.ready:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise RuntimeError(f"grading workers do not start: {message}")

    def _remove(self, child: _Child) -> tuple[bool, str]:
        self._children.remove(child)
        self._selector.unregister(child.process.stdout)
        return _end(child)
