"""What every script of the workflow does around its one function."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testtime.errors import UserError


@contextmanager
def job(log: str | Path) -> Iterator[None]:
    """Send this process's output to the rule's log; a user's error ends it in one line.

    The file descriptors are redirected, so that libraries in C and child processes write there too.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8", buffering=1) as out:
        os.dup2(out.fileno(), sys.stdout.fileno())
        os.dup2(out.fileno(), sys.stderr.fileno())
        try:
            yield
        except UserError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            raise SystemExit(1) from None
