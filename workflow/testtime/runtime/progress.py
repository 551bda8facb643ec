"""Progress a person can follow: a bar on a terminal, a line now and then in a log."""

import sys
from contextlib import AbstractContextManager
from typing import Protocol

from tqdm import tqdm

LOG_EVERY_S = 10.0
LINE = "{desc}: {n}/{total} {unit} ({percentage:.0f}%), {rate_noinv:.3g} {unit}/s, {remaining} left"


class Progress(Protocol):
    """A receiver of progress reports."""

    def update(self, n: int = 1) -> object:
        """Report n more finished units."""


class _Log(tqdm):
    """Writes one line below another, at most one per LOG_EVERY_S seconds and one at the end."""

    monitor_interval = 0  # no thread beside the job

    @staticmethod
    def status_printer(file):
        """Write a line, where tqdm would draw a bar over the last one."""
        return lambda line: print(line, file=file, flush=True)

    @property
    def format_dict(self) -> dict:
        """The values of a line; with a rate even if a coarse clock has not advanced."""
        known = super().format_dict
        return known | {"elapsed": max(known["elapsed"], 1e-9)}

    def close(self) -> None:
        """Write the final count, if the last line does not show it."""
        if not self.disable and self.n > self.last_print_n:  # TQDM_DISABLE may have been set
            self.refresh()
        self.delay = float("inf")  # tqdm has nothing to clear
        super().close()


def progress(total: int, label: str, unit: str = "problems") -> AbstractContextManager[Progress]:
    """Follow `total` units of work on standard error."""
    if sys.stderr.isatty():
        return tqdm(total=total, desc=label, unit=f" {unit}")
    return _Log(
        total=total,
        desc=label,
        unit=unit,
        bar_format=LINE,
        mininterval=LOG_EVERY_S,
        delay=LOG_EVERY_S,
        miniters=1,
        smoothing=0,  # the rate is that of the whole work
        file=sys.stderr,
    )
