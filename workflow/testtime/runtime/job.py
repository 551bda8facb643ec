"""What every script of the workflow does around its one function."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from testtime.data.store import DISK_FULL
from testtime.errors import UserError
from testtime.runtime.gpus import take
from testtime.runtime.lock import RunOverError


@contextmanager
def job(log: str | Path, gpus: int = 0) -> Iterator[None]:
    """Send this process's output to the rule's log; a user's error ends it in one line.

    The file descriptors are redirected, so that libraries in C and child processes write there too.

    Args:
        log: the rule's log.
        gpus: GPUs that the job asked for, to itself while it runs.
    """
    console = os.dup(sys.stderr.fileno())
    try:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w", encoding="utf-8", buffering=1) as out:
            os.dup2(out.fileno(), sys.stdout.fileno())
            os.dup2(out.fileno(), sys.stderr.fileno())
            take(gpus)
            yield
    except RunOverError as error:
        # Not as a failure: Snakemake would delete the output, which is the other run's by now.
        _end(str(error), console, 0)
    except UserError as error:
        _end(str(error), console, 1)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        _end(str(error), console, 1)


def _end(message: str, console: int, status: int) -> NoReturn:
    """End the job with one line, which goes to the console where the log's disk is full."""
    line = f"error: {message}"
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        os.write(console, f"{line}\n".encode())
    raise SystemExit(status) from None
