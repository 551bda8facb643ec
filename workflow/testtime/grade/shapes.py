r"""Read the shape of an answer: tuples, lists, sets, intervals, matrices, labels, relations.

Anything inside that shape that is not a plain number or word (a "leaf": 3 + \sqrt{2}, x^2 - 1) is
read by the function passed as `leaf`: by math-verify in a worker, or only by its spelling.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from testtime.grade.exact import (
    FUNCTIONS,
    UnreadableError,
    Value,
    constant,
    infinity,
    interval,
    number_or_words,
    sequence,
    union,
)

Leaf = Callable[[str], Value]
_DEEPEST = 30
_UNITS = (
    "cm|mm|km|dm|in|ft|yd|mi|kg|mg|lbs?|oz|m[lL]|hrs?|mins?|secs?|am|pm|mph|kmh|sq|cu|th|st|nd|rd"
    "|cents?|dollars?|units?|degrees?|points?|inch(?:es)?|feet|foot|miles?|meters?|hours?|minutes?"
    "|seconds?|days?|weeks?|years?|times|ways"
)
_UNIT = re.compile(
    rf"(?:(?<=.)\s*\\text\s*\{{[^{{}}]*\}}|(?<=[\d}})\]])\s*(?:{_UNITS})\.?|\s(?:{_UNITS}|[a-zA-Z]{{3,}})\.?)"
    r"(?:\s*\^\s*(?:\{\s*[23]\s*\}|[23]))?$"
)
_PERCENT = re.compile(r"\s*(?:\\?%|(?:\\text\s*\{)?\s*(?:percent(?:age)?|pct)\s*\}?)$")
_DEGREES = re.compile(r"\s*\\deg$")

_MARK = re.compile(r"\\[a-zA-Z]+|\\.|[()\[\]{},;=<>&]|\b(?:and|or)\b")
_OPEN = frozenset({"(", "[", "{", "\\{", "\\langle", "\\lfloor", "\\lceil", "\\begin"})
_CLOSE = frozenset({")", "]", "}", "\\}", "\\rangle", "\\rfloor", "\\rceil", "\\end"})
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_GROUPS = frozenset({";", "and", "or"})
_SEPARATORS = _GROUPS | {","}
_ABOUT = frozenset({"\\approx", "\\simeq", "\\doteq"})
_ORDERS = {"<": (-1, True), "\\le": (-1, False), ">": (1, True), "\\ge": (1, False)}
_OTHERS = frozenset({"\\equiv", "\\subset", "\\subseteq", "\\cong", "\\sim", "\\to", "\\notin"})
_RELATIONS = frozenset({"=", "\\ne", "\\in"}) | _ABOUT | set(_ORDERS) | _OTHERS


def cut(text: str, marks: frozenset[str]) -> list[tuple[str, str]]:
    """(preceding mark, part) for the parts between marks outside brackets; the first with "".

    Raises:
        UnreadableError: brackets do not match.
    """
    parts, depth, start, before = [], 0, 0, ""
    for match in _MARK.finditer(text):
        mark = match[0]
        if mark in _OPEN:
            depth += 1
        elif mark in _CLOSE:
            depth -= 1
            if depth < 0:
                raise UnreadableError("brackets that do not match")
        elif depth == 0 and mark in marks:
            parts.append((before, text[start : match.start()].strip()))
            before, start = mark, match.end()
    if depth:
        raise UnreadableError("brackets that do not match")
    return [*parts, (before, text[start:].strip())]


def split(text: str, marks: frozenset[str]) -> list[str]:
    """The parts between marks outside brackets; empty ones are dropped."""
    return [part for _, part in cut(text, marks) if part]


def _enclosed(text: str) -> tuple[str, str, str] | None:
    """(opening, inside, closing) where one pair of brackets encloses everything."""
    marks = [match for match in _MARK.finditer(text) if match[0] in _OPEN | _CLOSE]
    if len(marks) < 2 or marks[0].start() != 0 or marks[-1].end() != len(text):
        return None
    depth = 0
    for match in marks:
        depth += 1 if match[0] in _OPEN else -1
        if depth == 0 and match is not marks[-1]:
            return None
    return marks[0][0], text[marks[0].end() : marks[-1].start()].strip(), marks[-1][0]


def _is_unmatched(text: str) -> bool:
    """Whether a pair of different brackets encloses everything, as in [13)."""
    whole = _enclosed(text)
    return whole is not None and whole[0] in _PAIRS and _PAIRS[whole[0]] != whole[2]


class ShapeReader:
    """Reads lists of items; `leaf` reads everything but plain numbers, words and brackets.

    Args:
        ordered: whether a list without brackets keeps its order.
        leaf: gives the value of a formula.
    """

    def __init__(self, ordered: bool, leaf: Leaf):
        self.ordered, self.leaf, self.depth = ordered, leaf, 0

    def listed(self, text: str) -> Value:
        """Items between commas, semicolons, "and" or "or"; a single item is just that item."""
        kind = "ordered" if self.ordered else "list"
        groups = [split(group, frozenset(",")) for group in split(text, _GROUPS)]
        if (
            len(groups) > 1
            and len(groups[0]) > 1
            and all(len(group) == len(groups[0]) for group in groups)
            and all("=" in part for group in groups for part in group)
        ):
            # "p=5, q=2 or p=7, q=2": each alternative is a separate tuple.
            items = [sequence("tuple", self.items(group)) for group in groups]
        else:
            items = self.items(part for group in groups for part in group)
        return sequence(kind, items)

    def items(self, parts: Iterable[str]) -> list[Value]:
        """The values of all parts."""
        values = [value for part in parts for value in self.item(part)]
        if not values:
            raise UnreadableError("nothing there")
        return values

    def item(self, text: str) -> list[Value]:
        """One item; two if it has a ±."""
        found = number_or_words(text)
        if found is not None:
            return [found]
        self.depth += 1
        if self.depth > _DEEPEST:
            raise UnreadableError("nested too deeply")
        values = self._formula_or_shape(text)
        self.depth -= 1
        return values

    def _formula_or_shape(self, text: str) -> list[Value]:
        """Strip units and signs, from the outside in."""
        sides = cut(text, _RELATIONS)
        if len(sides) > 1:
            return self.relation(sides, text)
        bare = _UNIT.sub("", text).strip()
        if bare != text and not text.startswith("\\text"):
            return self.item(bare)
        if _PERCENT.search(text):
            inner = _PERCENT.sub("", text)
            return [value.labelled(percent="%") for value in self.item(inner)]
        if _DEGREES.search(text) and not any(name in text for name in FUNCTIONS):
            return self.item(_DEGREES.sub("", text))
        unions = split(text, frozenset({"\\cup"}))
        if len(unions) > 1:
            return [union(self.items(unions))]
        return self.bracketed(text) or self.alternatives(text)

    def alternatives(self, text: str) -> list[Value]:
        """A formula, or two if it has a ±."""
        if "&" in text or _is_unmatched(text):
            raise UnreadableError("what is left of a matrix or an interval")
        if "\\pm" not in text and "\\mp" not in text:
            return [self.leaf(text)]
        both = []
        for plus, minus in (("+", "-"), ("-", "+")):
            one = re.sub(r"\\pm(?![a-zA-Z])\s*", plus, text)
            one = re.sub(r"\\mp(?![a-zA-Z])\s*", minus, one)
            both += self.item(re.sub(r"^\+", "", one))
        return list({value.key: value for value in both}.values())

    def bracketed(self, text: str) -> list[Value] | None:  # noqa: PLR0911
        """A tuple, set, interval or matrix; None if the text is none of them."""
        if text in ("\\emptyset", "\\varnothing"):
            return [Value("set", ("list",))]
        if text == "\\mathbb{R}":
            return [interval(infinity(-1), infinity(1), True, True)]
        if text.startswith("-") and _enclosed(text[1:].strip()):
            return self._negated(text)
        matrix = _MATRIX.fullmatch(text)
        if matrix:
            return [self.matrix(matrix[2])]
        whole = _enclosed(text)
        if whole is None:
            return None
        opening, inside, closing = whole
        parts = split(inside, _SEPARATORS)
        if opening == "\\{":
            items = self.items(parts) if parts else []
            return [sequence("set", items) if items else Value("set", ("list",))]
        if len(parts) > 1 and opening == "{":
            return [self.listed(inside)]
        if len(parts) < 2 and not (parts and len(cut(inside, _RELATIONS)) > 1):
            return self.item(inside) if parts and _PAIRS.get(opening) == closing else None
        items = self.items(parts)
        if len(items) == 2 and (opening == "[" or closing == "]"):
            return [interval(items[0], items[1], opening == "(", closing == ")")]
        if (opening, closing) == ("[", "]") or opening in ("(", "\\langle"):
            return [sequence("tuple", items)]
        raise UnreadableError("brackets that do not match")

    def _negated(self, text: str) -> list[Value] | None:
        """Minus a vector of numbers, or minus all of an interval."""
        found = self.bracketed(text[1:].strip())
        if not found or found[0].kind not in ("tuple", "interval"):
            return None
        if any(item.number is None for item in found[0].items):
            raise UnreadableError("minus something that is no vector of numbers")
        items = [constant(-item.number) for item in found[0].items]
        if found[0].kind == "interval":
            _, left_open, right_open, *_ = found[0].key
            return [interval(items[1], items[0], right_open, left_open)]
        return [sequence("tuple", items)]

    def matrix(self, text: str) -> Value:
        r"""A matrix: \begin{pmatrix} a & b \\ c & d \end{pmatrix}; a column is a tuple."""
        rows = [split(row, frozenset("&")) for row in text.split("\\\\") if row.strip()]
        if not rows or len({len(row) for row in rows}) > 1:
            raise UnreadableError("a matrix with ragged rows")
        entries = [self.item(entry) for row in rows for entry in row]
        if any(len(entry) > 1 for entry in entries):
            raise UnreadableError("a matrix of alternatives")
        flat = [entry[0] for entry in entries]
        if len(rows[0]) == 1:
            return sequence("tuple", flat)  # the same vector as (a, b, c)
        key = ("matrix", len(rows), len(rows[0]), *(entry.key for entry in flat))
        return Value("matrix", key, tuple(flat), certain=all(entry.certain for entry in flat))

    def relation(self, sides: list[tuple[str, str]], text: str) -> list[Value]:
        """X = 5 is 5 with a label, x < 3 an interval; other relations are left to `leaf`."""
        marks = {mark for mark, _ in sides[1:]}
        if any(not side for _, side in sides):
            raise UnreadableError("nothing beside a relation sign")
        first, last = sides[0][1], sides[-1][1]
        if marks <= {"=", *_ABOUT}:
            return self.equality(sides, text)
        if len(sides) == 2 and is_name(first):
            if marks == {"\\in"}:
                return [value.labelled(left=name_of(first)) for value in self.item(last)]
            if marks == {"\\ne"}:
                point = self.items([last])[0]
                rays = [(infinity(-1), point), (point, infinity(1))]
                both = union([interval(*ray, True, True) for ray in rays])
                return [both.labelled(left=name_of(first))]
        if marks <= set(_ORDERS):
            return [self.order(sides, text)]
        return [self.leaf(text)]

    def equality(self, sides: list[tuple[str, str]], text: str) -> list[Value]:
        r"""Equations: x = 5, x = 2 + 3 = 5, or x = 1/3 \approx 0.33, whose exact value counts."""
        about = [i for i, (mark, _) in enumerate(sides) if mark in _ABOUT]
        if about and (about[0] > 1 or not is_name(sides[0][1])):
            sides = sides[: about[0]]
        first, last = sides[0][1], sides[-1][1]
        if len(sides) == 1:
            return self.item(first)
        if is_name(first):
            if re.fullmatch("[a-zA-Z]", last) and len(sides) == 2:
                return [self.leaf(text)]
            values = [value.labelled(left=name_of(first)) for value in self.item(last)]
            if len(values) == 1 and len(sides) == 2 and _VARIABLE.search(last):
                return [replace(values[0], relation=self.leaf(text).key)]
            return values
        named = any(is_name(side) for _, side in sides[1:-1])
        if named or not any(_VARIABLE.search(side) for _, side in sides):
            return self.item(last)
        return [self.leaf(text)]

    def order(self, sides: list[tuple[str, str]], text: str) -> Value:
        """X < 3, 3 > x and -2 <= x < 7 as intervals."""
        if len(sides) == 3 and _is_bounded(sides[1][1]):
            (first, first_open), (second, second_open) = (_ORDERS[mark] for mark, _ in sides[1:])
            if first == second:
                ends = [self.items([sides[0][1]])[0], self.items([sides[2][1]])[0]]
                opens = [first_open, second_open]
                if first > 0:
                    ends, opens = ends[::-1], opens[::-1]
                return interval(*ends, *opens).labelled(left=name_of(sides[1][1]))
        if len(sides) == 2:
            direction, is_open = _ORDERS[sides[1][0]]
            for subject, bound, sign in ((0, 1, direction), (1, 0, -direction)):
                if _is_bounded(sides[subject][1]) and not _VARIABLE.search(sides[bound][1]):
                    end = self.items([sides[bound][1]])[0]
                    ends = (end, infinity(1)) if sign > 0 else (infinity(-1), end)
                    opens = (is_open, True) if sign > 0 else (True, is_open)
                    return interval(*ends, *opens).labelled(left=name_of(sides[subject][1]))
        return self.leaf(text)


_MATRIX = re.compile(
    r"[(\[]?\s*\\begin\{([pbB]?matrix|array)\}(?:\{[clr|]*\})?"
    r"((?:(?!\\begin|\\end).)*)\\end\{\1\}[)\]]?",
    re.DOTALL,
)
_VARIABLE = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_INDEX = re.compile(r"(?<=[_(])\s*\{?\s*-?\d+")
_NAME = re.compile(r"[a-zA-Z_{}(),|:/' ]+")
_FUNCTION = re.compile(r"([a-zA-Z])\s*\(\s*[-\w, ]{1,6}\)")


def is_name(text: str) -> bool:
    """Letters only, as in AB, f(x), S_1, (p,q) or a/b: a name that can be given a value."""
    if _FUNCTION.fullmatch(text):
        return True
    plain = _INDEX.sub("", _COMMAND.sub("a", text))
    return bool(_NAME.fullmatch(plain)) and bool(re.search("[a-zA-Z]", plain))


def _is_bounded(text: str) -> bool:
    """Whether bounds of this name make an interval; those of |x| do not."""
    return is_name(text) and not text.startswith("|")


def name_of(text: str) -> str:
    """The label of a left side; of f(x) only f, as the letter in brackets is free."""
    function = _FUNCTION.fullmatch(text)
    return (function[1] if function else re.sub(r"[{}\s]|\\text", "", text)).lower()


def read_shape(text: str, ordered: bool, leaf: Leaf) -> Value | None:
    """The value of a normalised answer, or None if its shape cannot be determined.

    Args:
        text: as `normalise` gives it.
        ordered: whether a list without brackets keeps its order.
        leaf: gives the value of a formula inside.
    """
    try:
        return ShapeReader(ordered, leaf).listed(text)
    except (UnreadableError, ValueError, RecursionError):
        return None
