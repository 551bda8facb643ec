"""How long a run takes that has a GPU for itself: a roofline, from plain numbers of its models.

Each decoding step moves all weights once and the keys and values of every sequence, or computes a
token of every sequence, whichever takes longer (Pope et al. 2022, "Efficiently Scaling Transformer
Inference", arXiv 2211.05102, section 2). Steps follow one another; sequences share them.
"""

from dataclasses import dataclass

import numpy as np

PROMPT_TOKENS = 200  # of a problem whose length is not known


@dataclass(frozen=True)
class Depth:
    """What of a run follows one another and what it holds: expectations, arrays (n_problems,).

    Attributes:
        steps: decoding steps: of all that is drawn at once the tokens of the longest.
        read: tokens whose keys and values all steps read, added up.
        held: tokens whose keys and values are kept at once, at most.
        calls: of the PRM, one after the other, where there is one.
    """

    steps: np.ndarray
    read: np.ndarray
    held: np.ndarray
    calls: np.ndarray


@dataclass(frozen=True)
class Speed:
    """A model alone on its GPUs.

    Attributes:
        weights_s: seconds in which all weights are moved once.
        kv_s: seconds in which the keys and values of a token are moved.
        token_s: seconds of a token's arithmetic.
        step_s: seconds of a step, or a call, that the engine takes by itself.
        row_s: the same for every sequence of a step.
        kv_bytes: of the keys and values of a token, None if the catalog does not say.
    """

    weights_s: float
    kv_s: float
    token_s: float
    step_s: float
    row_s: float
    kv_bytes: float | None = None

    def drawing_s(self, depth: Depth, tokens: np.ndarray) -> np.ndarray:
        """Seconds in which a run's tokens are drawn, its steps at their mean size."""
        moving = depth.steps * self.weights_s + depth.read * self.kv_s
        own = depth.steps * self.step_s + tokens * self.row_s
        return np.maximum(moving, tokens * self.token_s) + own

    def reading_s(self, depth: Depth, tokens: np.ndarray) -> np.ndarray:
        """Seconds in which a PRM reads a run's tokens, in calls of their mean size."""
        computing = np.maximum(depth.calls * self.weights_s, tokens * self.token_s)
        return computing + depth.calls * self.step_s

    def kv_gb(self, depth: Depth) -> np.ndarray:
        """Gigabytes of the keys and values that are kept at once; NaN if unknown."""
        return depth.held * (np.nan if self.kv_bytes is None else self.kv_bytes / 1e9)
