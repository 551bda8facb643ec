"""Verdicts on pairs of answer and gold; each answer is read once, hard ones in workers."""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from testtime.grade.compare import decimal_comma, same
from testtime.grade.exact import (
    Value,
    constant,
    infinity,
    letters_of,
    spelled,
)
from testtime.grade.extract import BARE, extract_answer, prose_words
from testtime.grade.shapes import read_shape
from testtime.grade.spell import LONGEST, normalise
from testtime.grade.workers import Task, Workers
from testtime.runtime.progress import progress
from testtime.study.conventions import Convention

_PROGRESS_FROM = 200  # hard pairs
_SPOKEN = 3  # words of a gold that is an answer in words


class Verdict(NamedTuple):
    """Whether an answer is correct (None: could not be decided), and why."""

    correct: bool | None
    reason: str


NO_ANSWER = Verdict(False, "no answer")
_OPENING, _CLOSING = re.compile(r"(?<!\\)\{"), re.compile(r"(?<!\\)\}")


def gold_answer(gold: str, convention: Convention) -> str:
    """The answer in an answer key's entry, which may itself be a boxed solution."""
    if convention.name == "exact" or not gold.strip():
        return gold
    short = len(gold) <= BARE and "boxed" not in gold and "\n" not in gold.strip()
    if short and len(prose_words(gold)) <= _SPOKEN:
        return gold
    return extract_answer(gold, convention.name) or gold


# --- reading ------------------------------------------------------------------------------------


class Reading(NamedTuple):
    """The value of an answer, or else why a formula in it has none ("" if it has no formula)."""

    value: Value | None
    reason: str = ""


class _UndecidedError(Exception):
    """A formula that math-verify cannot read within its limits."""


def read_answers(
    answers: Collection[str], convention: Convention, workers: Workers | None = None
) -> dict[str, Reading]:
    """Read each answer, and each formula in them, once.

    Args:
        answers: not blank, at most LONGEST characters.
        convention: whether lists have an order.
        workers: read formulas; without them a formula is identified by its spelling.
    """
    ordered = convention.lists == "ordered"
    texts = {answer: normalise(answer) for answer in answers}
    formulas: dict[str, Reading] = {}

    def noted(text: str) -> Value:
        return formulas.setdefault(text, Reading(spelled(text))).value

    def known(text: str) -> Value:
        found = formulas.get(text, Reading(spelled(text)))
        if found.value is None:
            raise _UndecidedError(found.reason)
        return found.value

    def read(text: str) -> Reading:
        try:
            return Reading(read_shape(text, ordered, known))
        except _UndecidedError as error:
            return Reading(None, str(error))

    values = {answer: Reading(read_shape(text, ordered, noted)) for answer, text in texts.items()}
    if workers is None or not formulas:
        return values
    replies = _run(workers, [Task("value", (text,)) for text in formulas], "formulas")
    for text, reply in zip(list(formulas), replies, strict=True):
        value = None if reply.result is None else _formula(text, reply.result)
        formulas[text] = Reading(value, reply.reason)
    return {answer: read(text) for answer, text in texts.items()}


def _formula(text: str, found: dict) -> Value:
    """The value that math-verify reads in a formula, see `mathverify.value`."""
    kind, parts, certain = found["kind"], found["parts"], found["certain"]
    letters = letters_of(text)
    if kind == "number":
        real, imaginary = (Fraction(part) for part in parts)
        exact = "." not in parts[0]
        if imaginary == 0:
            return replace(constant(real, exact=exact), letters=letters)
        return Value("number", ("n", constant(real, exact=False).key[1],
                                constant(imaginary, exact=False).key[1]))  # fmt: skip
    if kind == "equation":
        return Value("equation", (kind, *parts), relation=(kind, *parts), certain=certain)
    if parts in (["oo"], ["-oo"]):
        return infinity(1 if parts == ["oo"] else -1)
    key = ("x", *parts) if kind == "expression" else ("sympy", *parts)
    return Value(kind, key, letters=letters, certain=certain)


# --- verdicts -----------------------------------------------------------------------------------


def grade_pairs(
    pairs: Iterable[tuple[str | None, str]], convention: Convention, workers: Workers
) -> list[Verdict]:
    """Verdicts on (answer, gold) pairs; each distinct pair is decided once.

    Args:
        pairs: answers as extracted (None or "" for none), golds as `gold_answer` gives them.
        convention: which answers are equal.
        workers: read and compare everything but plain numbers, words and lists of them.
    """
    pairs = list(pairs)
    verdicts = {pair: _by_text(*pair, convention) for pair in dict.fromkeys(pairs)}
    compared = [pair for pair, verdict in verdicts.items() if verdict is None]
    texts = dict.fromkeys(text for pair in compared for text in pair)
    readings = read_answers(texts, convention, workers)
    hard = []
    for pair in compared:
        verdicts[pair] = _by_value(*pair, readings, convention)
        if verdicts[pair] is None:
            hard.append(pair)
    tasks = [Task("equal", (normalise(answer), normalise(gold))) for answer, gold in hard]
    for pair, reply in zip(hard, _run(workers, tasks, "comparisons"), strict=True):
        verdicts[pair] = Verdict(reply.result, reply.reason)
    return [verdicts[pair] for pair in pairs]


def _run(workers: Workers, tasks: list[Task], what: str) -> list:
    if len(tasks) < _PROGRESS_FROM:
        return workers.run(tasks)
    with progress(len(tasks), "grade", what) as bar:
        return workers.run(tasks, on_reply=lambda *_: bar.update())


def _by_text(  # noqa: PLR0911
    answer: str | None, gold: str, convention: Convention
) -> Verdict | None:
    """The verdict if nothing has to be read, else None."""
    if not answer or not answer.strip():
        return NO_ANSWER
    if not gold.strip():
        return Verdict(None, "no gold answer")
    if convention.name == "exact":
        equal = "".join(answer.split()) == "".join(gold.split())
        return Verdict(equal, "same text" if equal else "different text")
    if max(len(answer), len(gold)) > LONGEST:
        return Verdict(None, f"undecided: longer than {LONGEST} characters")
    sides = normalise(answer), normalise(gold)
    if not all(sides):
        return Verdict(None, "undecided: nothing that can be read")
    if sides[0] == sides[1]:
        return Verdict(True, "same text")
    if any(len(_OPENING.findall(side)) != len(_CLOSING.findall(side)) for side in sides):
        return Verdict(None, "undecided: cut off, braces do not match")
    return None


def _by_value(
    answer: str, gold: str, readings: dict[str, Reading], convention: Convention
) -> Verdict | None:
    """The verdict if the values settle it; None where math-verify has to compare."""
    (left, reason), (right, other_reason) = readings[answer], readings[gold]
    if left is None or right is None:
        reason = reason if left is None else other_reason.replace("the answer", "the gold")
        return Verdict(None, reason) if reason else None
    equal = same(left, right, convention)
    if equal is False and decimal_comma(normalise(answer), normalise(gold)):
        equal = True
    if equal is None:
        return None
    subject = "value" if left.kind == right.kind else f"kind ({left.kind}, not {right.kind})"
    return Verdict(equal, "same value" if equal else f"different {subject}")
