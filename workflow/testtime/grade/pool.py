"""Killable child processes for what may never end: each task costs at most its own limits.

Workers are started as `python -m testtime.grade.worker` and spoken to in JSON lines: no pickle, no
fork of a process with threads, no import of the caller's script.
"""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

TIME_LIMIT_S = 5.0
MEMORY_LIMIT_MB = 1024
_START_LIMIT_S = 120.0
_MOST_FAILED_STARTS = 3
_PACKAGE = Path(__file__).resolve().parents[2]


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


@dataclass
class _Worker:
    process: subprocess.Popen
    errors: IO[bytes]
    ready: bool = False
    index: int | None = None
    deadline: float = 0.0
    pending: bytearray = field(default_factory=bytearray)


class Pool:
    """Up to `workers` child processes, started when first needed, replaced when they are lost.

    Use as a context manager. Results do not depend on the number of workers.
    """

    def __init__(
        self,
        workers: int = 2,
        time_limit_s: float = TIME_LIMIT_S,
        memory_limit_mb: int = MEMORY_LIMIT_MB,
    ):
        self.size, self.time_limit_s, self.memory_limit_mb = workers, time_limit_s, memory_limit_mb
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._failed_starts = 0

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_exception) -> None:
        for worker in list(self._workers):
            self._remove(worker)
        self._selector.close()

    @property
    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [worker.process.pid for worker in self._workers]

    def warm(self) -> None:
        """Start one worker, without waiting for it, if none is there."""
        if not self._workers:
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
        waiting = deque(enumerate(tasks))
        replies: list[Reply | None] = [None] * len(waiting)
        todo = dict(waiting)

        def finish(index: int, reply: Reply) -> None:
            replies[index] = reply
            if on_reply:
                on_reply(index, reply)

        while waiting or any(worker.index is not None for worker in self._workers):
            busy = sum(worker.index is not None for worker in self._workers)
            while len(self._workers) < min(self.size, busy + len(waiting)):
                self._start()
            for worker in list(self._workers):
                if waiting and worker.ready and worker.index is None:
                    index = waiting.popleft()[0]
                    self._send(worker, index, todo[index], finish)
            self._collect(finish)
        return replies

    def _start(self) -> None:
        paths = [str(_PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }
        limits = [str(self.memory_limit_mb), str(self.time_limit_s)]
        # A pipe that nobody reads would fill and block.
        errors = tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen(
            # -P: a file sympy.py in the working directory must not be imported.
            [sys.executable, "-P", "-m", "testtime.grade.worker", *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        )
        os.set_blocking(process.stdout.fileno(), False)
        worker = _Worker(process, errors, deadline=time.monotonic() + _START_LIMIT_S)
        self._workers.append(worker)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)

    def _send(self, worker: _Worker, index: int, task: Task, finish) -> None:
        worker.index, worker.deadline = index, time.monotonic() + self.time_limit_s
        line = json.dumps({"op": task.op, "args": task.args}) + "\n"
        try:
            worker.process.stdin.write(line.encode())
            worker.process.stdin.flush()
        except BrokenPipeError:
            self._lost(worker, "undecided: the worker was lost", finish)

    def _collect(self, finish) -> None:
        """Wait for replies or the next deadline; end workers that are past theirs."""
        now = time.monotonic()
        waits = [w.deadline - now for w in self._workers if w.index is not None or not w.ready]
        timeout = max(0.0, min(waits)) if waits else 0.0
        for key, _ in self._selector.select(timeout):
            self._read(key.data, finish)
        now = time.monotonic()
        for worker in list(self._workers):
            if (worker.index is not None or not worker.ready) and now > worker.deadline:
                self._lost(worker, f"undecided: over {self.time_limit_s:g} s", finish)

    def _read(self, worker: _Worker, finish) -> None:
        chunk = os.read(worker.process.stdout.fileno(), 1 << 16)
        if not chunk:
            self._lost(worker, "undecided: the worker was lost", finish)
            return
        worker.pending += chunk
        while b"\n" in worker.pending:
            line, _, rest = worker.pending.partition(b"\n")
            worker.pending = bytearray(rest)
            message = json.loads(line)
            if message.get("ready"):
                worker.ready, self._failed_starts = True, 0
                continue
            index, worker.index = worker.index, None
            finish(index, Reply(message["result"], message["reason"]))
            if message.get("stop"):
                self._remove(worker)
                return

    def _lost(self, worker: _Worker, reason: str, finish) -> None:
        worker.errors.seek(0)
        message = worker.errors.read().decode(errors="replace").strip()[-500:]
        self._remove(worker)
        if worker.index is not None:
            finish(worker.index, Reply(None, reason))
        elif not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise RuntimeError(f"grading workers do not start: {message}")

    def _remove(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._selector.unregister(worker.process.stdout)
        worker.process.kill()
        worker.process.wait()
        with contextlib.suppress(BrokenPipeError):
            worker.process.stdin.close()
        worker.process.stdout.close()
        worker.errors.close()
