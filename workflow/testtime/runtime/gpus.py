"""Which GPUs a job takes on a machine without a scheduler that assigns them."""

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
_WAIT_S = 2.0
_held: list[int] = []  # descriptors whose locks end with the process


def visible() -> list[str]:
    """GPUs that this process may use: those assigned to it, else all that it can see.

    A container may hold only some of a machine's GPUs; CUDA numbers those from 0, whatever their
    device files are called.
    """
    given = os.environ.get(VISIBLE)
    if given is not None:
        return [name for name in given.split(",") if name]
    import torch  # not needed by jobs whose scheduler assigns GPUs

    return [str(index) for index in range(torch.cuda.device_count())]


def take(n: int, names: Sequence[str] | None = None) -> None:
    """Keep n GPUs for this process and its children, until it ends.

    Snakemake counts the GPUs that local jobs use (`--resources gpu=N`) but does not say which.
    Slurm does; then there is nothing to choose. Waits while other jobs hold too many.

    Args:
        n: GPUs that the job needs.
        names: of the GPUs to choose among; those that are visible by default.
    """
    names = visible() if names is None else names
    if n == 0 or len(names) <= n:
        return
    waited = False
    while len(free := [(name, lock) for name in names if (lock := _lock(name)) is not None]) < n:
        for _, lock in free:
            os.close(lock)
        if not waited:
            print(f"waiting for {n} of {len(names)} GPUs", file=sys.stderr, flush=True)
            waited = True
        time.sleep(_WAIT_S)
    for _, lock in free[n:]:
        os.close(lock)
    _held.extend(lock for _, lock in free[:n])
    os.environ[VISIBLE] = ",".join(name for name, _ in free[:n])


def _lock(name: str) -> int | None:
    """Lock a GPU among this user's jobs; None where another job has it."""
    path = Path(tempfile.gettempdir(), f"testtime-{os.getuid()}-gpu-{name}")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
