"""One run per results folder; the lock of a killed run is gone with it."""

import fcntl
import os
from pathlib import Path

from testtime.errors import UserError


def hold(results: str | Path) -> int:
    """Take the folder for this process, until it ends in whatever way.

    The kernel releases the lock when the process dies, so a run that was killed needs no unlocking.

    Returns:
        The open file descriptor that carries the lock.

    Raises:
        UserError: another run holds it.
    """
    folder = Path(results)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(
            f"another run is writing to {folder}: wait for it, end it, or set another `results:`"
        ) from None
    return descriptor
