"""One run per results folder; the lock of a killed run is gone with it."""

import fcntl
import os
import sys
import uuid
from pathlib import Path

from testtime.errors import UserError

NAME = ".lock"
RUN = "TESTTIME_RUN"  # environment variable: the run that a job was started by


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
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(
            f"another run is writing to {folder}: wait for it, end it, or set another `results:`"
        ) from None
    except OSError as error:
        # Some cluster file systems are mounted without locks; they still hold results.
        print(f"no lock on {folder} ({error.strerror}): start one run at a time", file=sys.stderr)
    os.environ[RUN] = uuid.uuid4().hex
    os.ftruncate(descriptor, 0)
    os.write(descriptor, os.environ[RUN].encode())
    return descriptor


def check_run(results: str | Path) -> None:
    """Refuse a job whose run is over and was followed by another one.

    Jobs on a cluster outlive the run that submitted them, when that is killed. One that starts only
    after the next run has taken the folder would first delete what that run has made since.

    Raises:
        UserError: the folder belongs to another run now.
    """
    run = os.environ.get(RUN)
    if run is not None and (Path(results) / NAME).read_text() != run:
        raise UserError(f"this job's run is over, and another one is writing to {results} since")
