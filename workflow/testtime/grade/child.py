"""One child process that compares answers: started, spoken to in JSON lines, ended."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

START_LIMIT_S = 120.0
_PACKAGE = Path(__file__).resolve().parents[2]


@dataclass
class Child:
    """A worker process and what it is doing.

    Attributes:
        ready: it has said that it can take tasks.
        index: of the task that it has, or None.
        since: when it got that task, on the monotonic clock.
        deadline: when it is ended if it starts or has a task.
        pending: the beginning of a line that has not ended yet.
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


def start(time_limit_s: float, memory_limit_mb: int) -> Child:
    """Start a worker; it says when it is ready."""
    paths = [str(_PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    # A pipe that nobody reads would fill and block.
    errors = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        # -P: a file sympy.py in the working directory must not be imported.
        [
            sys.executable,
            "-P",
            "-m",
            "testtime.grade.worker",
            str(memory_limit_mb),
            str(time_limit_s),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
    )
    os.set_blocking(process.stdout.fileno(), False)
    return Child(process, errors, deadline=time.monotonic() + START_LIMIT_S)


def send(child: Child, message: object) -> bool:
    """Write one line; whether the child was there to take it."""
    try:
        child.process.stdin.write((json.dumps(message) + "\n").encode())
        child.process.stdin.flush()
    except BrokenPipeError:
        return False
    return True


def receive(child: Child) -> list[dict] | None:
    """The lines that have arrived, or None where the child is gone."""
    chunk = os.read(child.process.stdout.fileno(), 1 << 16)
    if not chunk:
        return None
    *lines, rest = (bytes(child.pending) + chunk).split(b"\n")
    child.pending = bytearray(rest)
    return [json.loads(line) for line in lines]


def end(child: Child) -> tuple[bool, str]:
    """Kill the child and wait for it.

    Returns:
        Whether it had ended itself for want of time, and the end of its standard error.
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
