"""Where a step ends, decided token by token for a whole batch by table look-up."""

from collections.abc import Sequence

import numpy as np


class StepEnds:
    r"""An automaton over vocabulary tokens that finds the separator behind visible text.

    A separator counts wherever it lies: a token of its own, inside a token (".\n\n"), or across
    tokens ("\n" + "\n"). One with nothing but white space before it ends no step: it is read as
    part of the step that follows, so no step is empty. A policy that emits separators for ever is
    therefore never stopped here, only by its number of tokens.

    A state says whether visible text came before, and how much of the separator has been matched
    since; state 0 is the start of a step.

    Attributes:
        following: (states, vocabulary), the state after a token.
        ends: (states, vocabulary), whether the token ends the step.

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
                # No part of a separator: the usual case, quick for large vocabularies.
                visible = bool(text.strip())
                self.following[:, token] = [
                    _state(visible or seen or bool(separator[:matched].strip()), 0, separator)
                    for seen, matched in _states(separator)
                ]
            elif text:
                for state, before in enumerate(_states(separator)):
                    self.ends[state, token], *after = _read(text, separator, *before)
                    self.following[state, token] = _state(*after, separator)


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

    Each token is decoded behind another one, because some tokenizers drop the space that begins
    a text.
    """
    anchor = tokenizer.encode("a", add_special_tokens=False)[-1:]
    length = len(tokenizer.decode(anchor, skip_special_tokens=True))
    known = min(size, len(tokenizer))
    texts = tokenizer.batch_decode([[*anchor, i] for i in range(known)], skip_special_tokens=True)
    return [text[length:] for text in texts] + [""] * (size - known)
