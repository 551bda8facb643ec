"""Where the steps of a solution end: in complete texts, and token by token while generating."""

from collections.abc import Sequence
from functools import lru_cache
from math import isnan
from typing import NamedTuple

import numpy as np

from testtime.engines.base import Policy

# Bound on cached texts: longer ones hardly ever repeat, and would cost memory.
MEMO_TOKENS, MEMO_ENTRIES = 64, 1 << 14


class Step(NamedTuple):
    """A step's text, without separator, its mean log-probability per token, and where it ends.

    Attributes:
        end: tokens up to its end, its separator included.
    """

    text: str
    logprob: float
    end: int


class StepReader:
    """Splits token ids into steps, without ever tokenising text again.

    A step ends with the token that completes a separator; the separator's tokens belong to the
    step. Steps without visible text are left out, so that no PRM reads an empty step.
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
        return [Step(text, mean(logprobs[start:end]), end) for text, start, end in parts]

    def _parts(self, token_ids: tuple[int, ...]) -> list[tuple[str, int, int]]:
        """(text, first token, token after the last) of each step."""
        found, start = [], 0
        for end in self._ends(token_ids):
            texts = self.text(token_ids[start:end]).split(self.separator)
            found += [(text, start, end) for text in texts if text.strip()]
            start = end
        return found

    def _ends(self, token_ids: tuple[int, ...]) -> list[int]:
        """Where steps end: after each token that completes a separator, and after the last."""
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
    """Arithmetic mean of the values that are not NaN; 0 if there are none."""
    known = [value for value in values if not isnan(value)]
    return sum(known) / len(known) if known else 0.0


class StepEnds:
    r"""An automaton over vocabulary tokens that finds the separator after visible text.

    A separator counts wherever it occurs: as a single token, inside a token (".\n\n"), or across
    tokens ("\n" + "\n"). One preceded only by white space ends no step: it is part of the following
    step, so no step is empty. A policy that emits separators forever is therefore stopped only by
    its token limit.

    A state records whether there was visible text, and how much of the separator has been matched
    since; state 0 is the start of a step.

    Attributes:
        following: (states, vocabulary), the state after a token.
        ends: (states, vocabulary), whether the token ends the step.
        whole: ids of the tokens that contain the separator; each ends a step with visible text.

    Args:
        texts: what each vocabulary token adds to the decoded text; "" for special tokens.
        separator: not empty.
    """

    def __init__(self, texts: Sequence[str], separator: str):
        states = 2 * len(separator)
        letters = set(separator)
        self.following = np.zeros((states, len(texts)), dtype=np.int8)
        self.ends = np.zeros((states, len(texts)), dtype=bool)
        self.following[:] = np.arange(states)[:, None]
        for token, text in enumerate(texts):
            if letters.isdisjoint(text) and text:
                # No part of a separator: the usual case, fast for large vocabularies.
                visible = bool(text.strip())
                self.following[:, token] = [
                    _state(visible or seen or bool(separator[:matched].strip()), 0, separator)
                    for seen, matched in _states(separator)
                ]
            elif text:
                for state, before in enumerate(_states(separator)):
                    self.ends[state, token], *after = _read(text, separator, *before)
                    self.following[state, token] = _state(*after, separator)
        self.whole: list[int] = np.flatnonzero(self.ends[_state(True, 0, separator)]).tolist()


def _states(separator: str) -> list[tuple[bool, int]]:
    return [(seen, matched) for seen in (False, True) for matched in range(len(separator))]


def _state(seen: bool, matched: int, separator: str) -> int:
    return seen * len(separator) + matched


def _read(text: str, separator: str, seen: bool, matched: int) -> tuple[bool, bool, int]:
    """Read a token's text; returns (whether the step ended, visible text seen, letters matched)."""
    for letter in text:
        held = separator[:matched] + letter
        matched = next(n for n in range(len(held), -1, -1) if held.endswith(separator[:n]))
        seen = seen or bool(held[: len(held) - matched].strip())
        if matched == len(separator):
            if seen:
                return True, False, 0
            matched = 0
    return False, seen, matched


def token_texts(tokenizer, size: int) -> list[str]:
    """What each of `size` token ids adds to the decoded text; "" for special and unused ids.

    Each token is decoded after another one, because some tokenizers drop a text's leading space.
    """
    anchor = tokenizer.encode("a", add_special_tokens=False)[-1:]
    length = len(tokenizer.decode(anchor, skip_special_tokens=True))
    known = min(size, len(tokenizer))
    texts = tokenizer.batch_decode([[*anchor, i] for i in range(known)], skip_special_tokens=True)
    return [text[length:] for text in texts] + [""] * (size - known)
