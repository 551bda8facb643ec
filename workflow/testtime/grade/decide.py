"""The cheap verdict on one answer: equal text, equal value, or left to math-verify."""

import re
from typing import NamedTuple

from testtime.grade.compare import decimal_comma, same
from testtime.grade.conventions import Convention
from testtime.grade.extract import extract_answer
from testtime.grade.normal import LONGEST, normalise
from testtime.grade.read import read
from testtime.grade.values import Value


class Verdict(NamedTuple):
    """Whether an answer is correct (None: could not be decided), and why."""

    correct: bool | None
    reason: str


_OPENING, _CLOSING = re.compile(r"(?<!\\)\{"), re.compile(r"(?<!\\)\}")
ASK = Verdict(None, "ask math-verify")
NO_ANSWER = Verdict(False, "no answer")


def gold_answer(gold: str, convention: Convention) -> str:
    """The answer in a key's entry, which may itself be a boxed solution."""
    if convention.name == "exact" or not gold.strip():
        return gold
    if "boxed" not in gold and value_of(gold, convention) is not None:
        return gold
    return extract_answer(gold, convention.name) or gold


def value_of(answer: str, convention: Convention) -> Value | None:
    """What the answer is, or None where the cheap reader cannot tell."""
    if len(answer) > LONGEST:
        return None
    return read(normalise(answer), convention.lists == "ordered")


def decide(  # noqa: PLR0911
    answer: str | None, gold: str, convention: Convention
) -> Verdict:
    """Compare an answer with the gold as far as that is cheap (microseconds).

    Args:
        answer: as extracted; None or "" for none.
        gold: as `gold_answer` gives it.
        convention: what equals what.

    Returns:
        A verdict, or ASK where math-verify has to look.
    """
    if not answer or not answer.strip():
        return NO_ANSWER
    if not gold.strip():
        return Verdict(None, "no gold answer")
    if convention.name == "exact":
        equal = "".join(answer.split()) == "".join(gold.split())
        return Verdict(equal, "same text" if equal else "different text")
    if len(answer) > LONGEST:
        return Verdict(None, f"undecided: longer than {LONGEST} characters")
    spelled, key = normalise(answer), normalise(gold)
    if spelled == key and spelled:
        return Verdict(True, "same text")
    left, right = value_of(answer, convention), value_of(gold, convention)
    if left is None or right is None:
        return _unread(spelled, key)
    equal = same(left, right, convention)
    if equal is False and decimal_comma(spelled, key):
        return Verdict(True, "same value")
    if equal is None:
        return ASK
    return Verdict(equal, "same value" if equal else f"different {_subject(left, right)}")


def _unread(*sides: str) -> Verdict:
    if not all(sides):
        return Verdict(None, "undecided: nothing that can be read")
    if any(len(_OPENING.findall(side)) != len(_CLOSING.findall(side)) for side in sides):
        return Verdict(None, "undecided: cut off, braces do not match")
    return ASK


def _subject(a: Value, b: Value) -> str:
    return "value" if a.kind == b.kind else f"kind ({a.kind}, not {b.kind})"
