"""Early-stopping self-consistency: windows of samples, until one agrees."""

from collections.abc import Sequence

import numpy as np

from testtime.evaluate.rules import Ballots, Drawn

WINDOW = 5  # samples drawn together


def early_stopping(drawn: Drawn) -> Ballots:
    """Stop after a window of samples that all give one answer; the majority of all wins.

    Source: Li et al. (2024), "Escape sky-high cost", arXiv 2401.10480, section 3.2. A window with a
    sample without an answer does not agree.
    """
    n_orders, k = drawn.classes.shape
    whole = k // WINDOW
    windows = drawn.classes[:, : whole * WINDOW].reshape(n_orders, whole, WINDOW)
    agree = (windows == windows[:, :, :1]).all(axis=2) & (windows[:, :, 0] >= 0)
    first = np.column_stack([agree, np.ones(n_orders, dtype=bool)]).argmax(axis=1)
    return Ballots(np.ones((n_orders, k)), np.minimum((first + 1) * WINDOW, k))


def rounds(n: int) -> Sequence[int]:
    """After every window."""
    return range(WINDOW, n + 1, WINDOW)
