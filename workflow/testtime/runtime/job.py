"""What every script does around its one function, and the environment of its process."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from testtime.errors import DISK_FULL, UserError
from testtime.runtime.gpus import take
from testtime.runtime.lock import RunOverError
from testtime.study.layout import WORKFLOW


@contextmanager
def job(log: str | Path, gpus: int = 0) -> Iterator[None]:
    """Send this process's output to the rule's log; a user's error ends it in one line.

    The file descriptors are redirected, so that libraries in C and child processes write there too.

    Args:
        log: the rule's log.
        gpus: GPUs that the job requested, exclusively while it runs.
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
        # Not as a failure: Snakemake would delete the output, which now belongs to the other run.
        _end(str(error), console, 0)
    except UserError as error:
        _end(str(error), console, 1)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        _end(str(error), console, 1)


def _end(message: str, console: int, status: int) -> NoReturn:
    """End the job with one line, on the console if the log's disk is full."""
    line = f"error: {message}"
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        os.write(console, f"{line}\n".encode())
    raise SystemExit(status) from None


def export_package() -> None:
    """Put the package's folder on the PYTHONPATH that Snakemake's jobs inherit."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = (path for path in known if path not in {"", str(WORKFLOW)})
    os.environ["PYTHONPATH"] = os.pathsep.join([str(WORKFLOW), *others])
