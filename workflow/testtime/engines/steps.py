"""From a policy's tokens to the steps of its solution, the same for a pool and for a search."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from testtime.engines.base import Policy

# What is kept of texts read before: longer ones hardly ever repeat, and would cost memory.
MEMO_TOKENS, MEMO_ENTRIES = 64, 1 << 14


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
        self._piece = lru_cache(maxsize=None)(lambda token: policy.decode((token,)))
        self._known_texts = lru_cache(maxsize=MEMO_ENTRIES)(policy.decode)
        self._known_parts = lru_cache(maxsize=MEMO_ENTRIES)(self._parts)

    def text(self, token_ids: tuple[int, ...]) -> str:
        """Text of generated tokens."""
        return (self._known_texts if len(token_ids) <= MEMO_TOKENS else self._decode)(token_ids)

    def steps(self, token_ids: tuple[int, ...], logprobs: Sequence[float]) -> list[Step]:
        """The steps among tokens that begin at the start of a step.

        Args:
            token_ids: generated tokens, end of text included.
            logprobs: log-probability of each.
        """
        short = len(token_ids) <= MEMO_TOKENS
        parts = (self._known_parts if short else self._parts)(token_ids)
        return [Step(text, mean(logprobs[start:end])) for text, start, end in parts]

    def _parts(self, token_ids: tuple[int, ...]) -> list[tuple[str, int, int]]:
        """(text, first token, token behind the last) of each step."""
        found, start = [], 0
        for end in self._ends(token_ids):
            texts = self.text(token_ids[start:end]).split(self.separator)
            found += [(text, start, end) for text in texts if text.strip()]
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
