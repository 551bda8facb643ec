"""One run per results folder, and only its jobs write there.

The lock of a killed run disappears with it; jobs that outlive it on a cluster see that another run
has begun and write nothing more.
"""

import errno
import fcntl
import os
import sys
import uuid
from pathlib import Path

from testtime.errors import UserError
from testtime.study.layout import Layout

# Environment variables by which a job knows its run, and where the newest run has put its name.
RUN, LOCK = "TESTTIME_RUN", "TESTTIME_LOCK"
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


class RunOverError(UserError):
    """Another run has begun on the results of the one that started this job."""


def hold(results: str | Path) -> int:
    """Lock the folder for this process, until it ends in any way.

    The kernel releases the lock when the process dies, so a run that was killed needs no unlocking.

    Returns:
        The open file descriptor that carries the lock.

    Raises:
        UserError: another run holds it, or this user may not write there.
    """
    folder = Path(results)
    path = Path(Layout(str(folder)).path("lock")).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        _lock(descriptor, folder)
    except OSError as error:
        raise UserError(f"cannot take {path}: {error.strerror}") from error
    os.environ[RUN], os.environ[LOCK] = uuid.uuid4().hex, str(path)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, os.environ[RUN].encode())
    os.fsync(descriptor)  # a node that reads it over a network must not see the previous run's
    return descriptor


def is_held(results: str | Path) -> bool:
    """Whether a run is writing to the folder."""
    try:
        descriptor = os.open(Layout(str(results)).path("lock"), os.O_RDWR)
    except OSError:  # no run has ever been there, or this user may not write
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(
            f"another run is writing to {folder}: wait for it, end it, or set another `results:`"
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        # Some cluster file systems are mounted without locks; they still hold results.
        print(f"no lock on {folder} ({error.strerror}): start one run at a time", file=sys.stderr)


def check_run(*, elsewhere: bool = False) -> None:
    """Refuse a job whose run has ended and was followed by another one.

    Jobs on a cluster outlive the run that submitted them, when that is killed. One that starts
    after the next run has begun would first delete what that run has made; one that ends then would
    replace that run's results with those of other settings.

    Args:
        elsewhere: the job may be on a machine without the lock, where Snakemake fetches and stores
            its files; then what it starts belongs to no run of this machine.

    Raises:
        RunOverError: the folder belongs to another run now, or is gone.
    """
    if (run := os.environ.get(RUN)) is None:
        return
    lock = Path(os.environ[LOCK])
    if elsewhere and not lock.exists():
        del os.environ[RUN]
        return
    if not lock.exists() or lock.read_text() != run:
        raise RunOverError(f"this job's run has ended, and another one is writing to {lock.parent}")
