"""Progress a person can follow: a bar on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tqdm import tqdm

LOG_EVERY_S = 10.0


class Progress(Protocol):
    """Something that is told of finished work."""

    def update(self, n: int = 1) -> object:
        """Add n finished units."""


class _LogProgress:
    """Writes one line at most every LOG_EVERY_S seconds, and one at the end."""

    def __init__(self, total: int, label: str, unit: str):
        self.total, self.label, self.unit = total, label, unit
        self.done, self.started = 0, time.monotonic()
        self.last = self.started

    def update(self, n: int = 1) -> None:
        self.done += n
        now = time.monotonic()
        if now - self.last >= LOG_EVERY_S or self.done >= self.total > self.done - n:
            self.last = now
            self._line(now - self.started)

    def _line(self, elapsed: float) -> None:
        rate = self.done / max(elapsed, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        share = self.done / max(self.total, 1)
        print(
            f"{self.label}: {self.done}/{self.total} {self.unit} ({share:.0%}), "
            f"{rate:.3g} {self.unit}/s, {tqdm.format_interval(left)} left",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def progress(total: int, label: str, unit: str = "problems") -> Iterator[Progress]:
    """Follow `total` units of work on standard error."""
    if sys.stderr.isatty():
        with tqdm(total=total, desc=label, unit=f" {unit}") as bar:
            yield bar
    else:
        yield _LogProgress(total, label, unit)
