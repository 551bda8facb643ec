"""From a policy's tokens to the steps of its solution, the same for a pool and for a search."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from testtime.engines.base import Policy

MEMO_TOKENS = 64  # longer steps hardly ever repeat, and keeping them would cost memory


class Step(NamedTuple):
    """A step's text, without separator, and its mean log-probability per token."""

    text: str
    logprob: float


class StepReader:
    """Splits token ids into steps, without ever tokenising text again.

    A step ends with the token that completes a separator; the separator's tokens belong to the
    step. Steps without visible text are left out, so that no PRM is asked about an empty step.
    """

    def __init__(self, policy: Policy, separator: str):
        self.separator = separator
        self._decode = policy.decode
        self._memo = lru_cache(maxsize=1 << 14)(policy.decode)
        self._piece = lru_cache(maxsize=None)(lambda token: policy.decode((token,)))

    def text(self, token_ids: tuple[int, ...]) -> str:
        """Text of generated tokens."""
        return (self._memo if len(token_ids) <= MEMO_TOKENS else self._decode)(token_ids)

    def steps(self, token_ids: tuple[int, ...], logprobs: Sequence[float]) -> list[Step]:
        """The steps among tokens that begin at the start of a step.

        Args:
            token_ids: generated tokens, end of text included.
            logprobs: log-probability of each.
        """
        found, start = [], 0
        for end in self._ends(token_ids):
            text = self.text(token_ids[start:end])
            logprob = mean(logprobs[start:end])
            parts = text.split(self.separator)
            found += [Step(part, logprob) for part in parts if part.strip()]
            start = end
        return found

    def _ends(self, token_ids: tuple[int, ...]) -> list[int]:
        """Where steps end: behind each token that completes a separator, and behind the last."""
        ends, tail, overlap = [], "", len(self.separator) - 1
        for index, token in enumerate(token_ids, 1):
            tail += self._piece(token)
            if self.separator in tail:
                ends.append(index)
                tail = ""
            else:
                tail = tail[-overlap:] if overlap else ""
        if token_ids and (not ends or ends[-1] < len(token_ids)):
            ends.append(len(token_ids))
        return ends


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; 0 of nothing."""
    return sum(values) / len(values) if len(values) else 0.0
