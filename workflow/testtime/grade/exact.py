r"""Read the shape of an answer: numbers exactly, tuples, lists, sets, intervals, words, labels.

What is no plain number or word inside that shape ("leaf": 3\sqrt{2}, x^2 - 1) is read by whoever
is passed as `leaf`: math-verify in a worker, or nobody, and then it is known by its spelling.
"""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from math import isqrt

Labels = tuple[str, str, str]
NO_LABELS: Labels = ("", "", "")
INFINITIES = {"\\infty": 1, "+\\infty": 1, "-\\infty": -1, "infinity": 1, "-infinity": -1,
              "inf": 1, "-inf": -1}  # fmt: skip
_DEEPEST = 8
_LONGEST_NUMBER = 400
_LONGEST_SURD = 60
_DIGITS, _WORKING = Context(prec=20), Context(prec=45)
_PI = Decimal("3.14159265358979323846264338327950288419716939937510")
_EXACT_BITS = 60  # longer fractions are written out: 20 digits would not tell them apart


@dataclass(frozen=True)
class Value:
    """An answer that was read. Two values with the same key are the same answer.

    Attributes:
        kind: number, text, expression, equation, tuple, list, set, union, interval, matrix, or
            other (known by its spelling or by what math-verify calls it).
        key: canonical, hashable; labels are no part of it.
        items: elements of a tuple, list, set or union, ends of an interval, entries of a matrix.
        number: a real constant's value, else None.
        places: decimals shown, where the answer is a plain decimal, else None.
        labels: what may be left out: the left side ("x" of x = 5), the base, the percent sign.
        relation: canonical form of "left = right" where the answer was written so.
        letters: of a word, or of a product of symbols, in alphabetical order: $odd$ is both.
        certain: whether unequal keys mean unequal answers.
    """

    kind: str
    key: Hashable
    items: tuple["Value", ...] = ()
    number: Fraction | None = None
    places: int | None = None
    labels: Labels = NO_LABELS
    relation: Hashable = None
    letters: str = ""
    certain: bool = True

    def labelled(self, left: str = "", base: str = "", percent: str = "") -> "Value":
        """The same with labels added."""
        labels = tuple(n or o for n, o in zip((left, base, percent), self.labels, strict=True))
        return replace(self, labels=labels)


Leaf = Callable[[str], Value]


class UnreadableError(Exception):
    """Brackets that do not match, nothing between signs, or nested too deeply."""


def written(value: Fraction, exact: bool = True) -> str:
    """The number to 20 digits: equal numbers are written alike, however they were reached."""
    if value.denominator == 1 and abs(value.numerator) < 10**18:
        return str(value.numerator)
    large = max(value.numerator.bit_length(), value.denominator.bit_length()) > _EXACT_BITS
    if exact and large:
        return f"{value.numerator:x}/{value.denominator:x}"
    if not exact and abs(value - round(value)) <= Fraction(1, 10**25) and abs(value) < 10**18:
        return str(round(value))
    quotient = _DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator))
    return str(quotient.normalize(_DIGITS))


def constant(value: Fraction, places: int | None = None, exact: bool = True) -> Value:
    """A rational number, or one that is known to 45 digits where it is not `exact`."""
    return Value("number", ("n", written(value, exact)), number=value, places=places)


def infinity(sign: int) -> Value:
    """Plus or minus infinity."""
    return Value("number", ("n", "oo" if sign > 0 else "-oo"))


def spelled(text: str) -> Value:
    """What nobody can read is known by its spelling."""
    return Value("other", ("spelled", text), certain=False)


def text_value(words: str) -> Value:
    """Words: case, spaces and articles do not matter."""
    letters = words.lower().split()
    if len(letters) > 1 and letters[0] in ("the", "a", "an"):
        letters = letters[1:]
    word = "".join(c for c in "".join(letters) if c.isalnum())
    return Value("text", ("text", word), letters="".join(sorted(word)))


def sequence(kind: str, items: list[Value]) -> Value:
    """A tuple, list, set or union; one element stands for itself, only tuples have an order."""
    if kind in ("list", "set", "union"):
        items = list({(item.key, item.labels): item for item in items}.values())
    if len(items) == 1:
        return items[0]
    keys = [item.key for item in items]
    if kind in ("list", "set", "union"):
        keys.sort(key=repr)
    named = "list" if kind in ("set", "union", "ordered") else kind
    return Value(kind, (named, *keys), tuple(items), certain=all(item.certain for item in items))


def union(items: list[Value]) -> Value:
    """Ranges and points together: disjoint, in order; uncertain where an end is no number."""
    ranges = []
    for item in items:
        ends = item.items if item.kind in ("interval", "tuple") else (item, item)
        opens = item.key[1:3] if item.kind == "interval" else (item.kind == "tuple",) * 2
        places = [_place(end) for end in ends]
        if len(ends) != 2 or None in places:
            return replace(sequence("union", items), certain=False)
        ranges.append((places[0], opens[0], places[1], not opens[1], ends))
    merged: list[tuple] = []
    for low, low_open, high, closed, ends in sorted(ranges, key=lambda found: found[:4]):
        if merged:
            before = merged[-1]
            # (1,2) and (2,3) lack the point between them.
            if low < before[2] or (low == before[2] and (before[3] or not low_open)):
                if (high, closed) > before[2:4]:
                    merged[-1] = (*before[:2], high, closed, (before[4][0], ends[1]))
                continue
        merged.append((low, low_open, high, closed, ends))
    return sequence(
        "union",
        [
            ends[0] if low == high else interval(*ends, low_open, not closed)
            for low, low_open, high, closed, ends in merged
        ],
    )


def _place(end: Value) -> Fraction | float | None:
    """Where an end lies on the line, infinities included."""
    return {"oo": float("inf"), "-oo": float("-inf")}.get(end.key[-1], end.number)


def interval(left: Value, right: Value, left_open: bool, right_open: bool) -> Value:
    """An interval; the open one is written like a pair, so it is one."""
    if left_open and right_open:
        return sequence("tuple", [left, right])
    key = ("interval", left_open, right_open, left.key, right.key)
    return Value("interval", key, (left, right), certain=left.certain and right.certain)


# --- plain numbers and words -------------------------------------------------------------------

_PLAIN = r"(?:\d+(?:\.\d*)?|\.\d+)"
_SCALARS = [
    re.compile(rf"(?P<sign>[-+]?)\s*(?:{pattern})")
    for pattern in (
        rf"(?P<top>{_PLAIN})",
        rf"\(?(?P<top>[-+]?\s*{_PLAIN})\s*(?:/|:|\\div)\s*(?P<bottom>{_PLAIN})\)?",
        rf"(?:(?P<whole>\d+)\s*)?\\frac\s*\{{\s*(?P<top>[-+]?\s*{_PLAIN})\s*\}}"
        rf"\s*(?:\{{\s*(?P<bottom>-?\s*{_PLAIN})\s*\}}|(?P<digit>\d))",
        r"(?:(?P<whole>\d+)\s*)?\\frac\s*(?P<top>\d)\s*(?:(?P<bottom>\d)|\{(?P<braced>-?\d+)\})",
        r"(?P<whole>\d+)\s+(?P<top>\d+)\s*/\s*(?P<bottom>\d+)",
    )
]
_ROOT = (
    rf"(?P<times>{_PLAIN})?\s*"
    r"(?:\\sqrt\s*(?:\{\s*(?P<root>\d+)\s*\}|(?P<digit>\d))|(?P<pi>\\pi))"
)
_SURDS = [
    re.compile(rf"(?P<sign>-?)\s*{pattern}")
    for pattern in (
        rf"{_ROOT}(?:\s*/\s*(?P<over>[1-9]\d*))?",
        rf"\\frac\s*\{{\s*{_ROOT}\s*\}}\s*\{{\s*(?P<over>[1-9]\d*)\s*\}}",
    )
]
_BASED = re.compile(r"(\d+)_(?:\{\s*(?:\\text\s*\{)?\s*(\w+)[\s}]*\}|(\d+))")
_CLOCK = re.compile(r"\d{1,2}:0\d")  # 1:00 is a time of day, no ratio
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
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?)(?:\s+[a-zA-Z ]+)?")
FUNCTIONS = (
    "arcsin", "arccos", "arctan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "sin", "cos",
    "tan", "cot", "sec", "csc", "log", "ln", "exp", "sqrt",
)  # fmt: skip
_WORDS = re.compile(
    rf"(?!(?:{'|'.join(FUNCTIONS)}|pi|infty)(?![a-zA-Z]))(?=.*[a-zA-Z]{{3}})[a-zA-Z][\w .'-]*"
)
_LETTERS = re.compile(r"[a-zA-Z](?:[ *]*[a-zA-Z]){0,3}")


def scalar(text: str) -> Value | None:
    """A plain number: integer, decimal, fraction, mixed number or ratio."""
    if len(text) > _LONGEST_NUMBER:
        return None
    for pattern in _SCALARS:
        match = pattern.fullmatch(text)
        if not match:
            continue
        found = match.groupdict()
        top = Fraction(found["top"].replace(" ", ""))
        parts = (found.get(name) for name in ("bottom", "digit", "braced"))
        bottom = next((part for part in parts if part), None)
        if bottom is not None and Fraction(bottom.replace(" ", "")) == 0:
            raise UnreadableError("division by zero")
        value = top / Fraction(bottom.replace(" ", "")) if bottom else top
        value += int(found.get("whole") or 0)
        places = len(found["top"].partition(".")[2]) if bottom is None else 0
        return constant(-value if found["sign"] == "-" else value, places or None)
    return None


def surd(text: str) -> Value | None:
    r"""A rational multiple of a square root or of pi: 3\sqrt{2}, \frac{\sqrt{3}}{2}, \pi/4."""
    match = next(filter(None, (pattern.fullmatch(text) for pattern in _SURDS)), None)
    if not match or len(text) > _LONGEST_SURD:
        return None
    found = match.groupdict()
    factor = Fraction(found["times"] or 1) / Fraction(found["over"] or 1)
    radicand = int(found["root"] or found["digit"] or 0)
    whole = isqrt(radicand)
    if found["pi"] is None and whole * whole == radicand:
        return constant(-factor * whole if found["sign"] else factor * whole)
    root = _PI if found["pi"] else _WORKING.sqrt(Decimal(radicand))
    value = factor * Fraction(root)
    return constant(-value if found["sign"] else value, exact=False)


# --- marks outside brackets ---------------------------------------------------------------------

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
    """(mark before it, part) of the parts between marks outside brackets; the first with "".

    Raises:
        UnreadableError: a bracket closes that was not open, or stays open.
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
    """The parts between marks outside brackets; nothing between two marks is no part."""
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


# --- the shape of an answer ---------------------------------------------------------------------


@lru_cache(maxsize=65536)
def _words_or_number(text: str) -> Value | None:
    """What needs nobody else: a number with its unit, percent sign or base, or words."""
    text = text.strip()
    if _CLOCK.fullmatch(text):
        return text_value(text.replace(":", "h"))
    if text in INFINITIES:
        return infinity(INFINITIES[text])
    found = scalar(text) or surd(text)
    if found is not None:
        return found
    based = _BASED.fullmatch(text)
    if based:
        return constant(Fraction(based[1])).labelled(base=based[2] or based[3])
    inside = _TEXT.fullmatch(text)
    if inside:
        words = inside[1].strip().strip("()., ")
        amount = _AMOUNT.fullmatch(words)
        if amount:
            return constant(Fraction(amount[1]), len(amount[1].partition(".")[2]) or None)
        return text_value(words) if len(words) != 1 else None
    return text_value(text) if _WORDS.fullmatch(text) else None


def _is_unmatched(text: str) -> bool:
    """Whether one pair of brackets that are not of one kind encloses everything, as in [13)."""
    whole = _enclosed(text)
    return whole is not None and whole[0] in _PAIRS and _PAIRS[whole[0]] != whole[2]


class ShapeReader:
    """Reads lists of items; `leaf` reads what is no plain number, word or bracket.

    Args:
        ordered: whether a list without brackets keeps its order.
        leaf: gives the value of a formula.
    """

    def __init__(self, ordered: bool, leaf: Leaf):
        self.ordered, self.leaf, self.depth = ordered, leaf, 0

    def listed(self, text: str) -> Value:
        """Items between commas, semicolons, "and" or "or"; one item stands for itself."""
        self.depth += 1
        if self.depth > _DEEPEST or not text:
            raise UnreadableError("nested too deeply" if text else "nothing there")
        kind = "ordered" if self.ordered else "list"
        groups = [split(group, frozenset(",")) for group in split(text, _GROUPS)]
        if (
            len(groups) > 1
            and len(groups[0]) > 1
            and all(len(group) == len(groups[0]) for group in groups)
            and all("=" in part for group in groups for part in group)
        ):
            # "p=5, q=2 or p=7, q=2": each alternative is a tuple of its own.
            items = [sequence("tuple", self.items(group)) for group in groups]
        else:
            items = self.items(part for group in groups for part in group)
        self.depth -= 1
        return sequence(kind, items)

    def items(self, parts) -> list[Value]:
        """The values of all parts."""
        values = [value for part in parts for value in self.item(part)]
        if not values:
            raise UnreadableError("nothing there")
        return values

    def item(self, text: str) -> list[Value]:
        """One item; two where a ± stands for both."""
        found = _words_or_number(text)
        if found is not None:
            return [found]
        sides = cut(text, _RELATIONS)
        if len(sides) > 1:
            return self.relation(sides, text)
        bare = _UNIT.sub("", text).strip()
        if bare != text and not _TEXT.fullmatch(text):
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
        """A formula, or the two that a ± stands for."""
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
        """A tuple, set, interval or matrix; None where the text is none of them."""
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
_NAME = re.compile(r"(?:\\[a-zA-Z]+|_\s*\{?\s*\d*|(?<=\()\s*-?\d+|[a-zA-Z{}(),|:/' ])+")
_FUNCTION = re.compile(r"([a-zA-Z])\s*\(\s*[-\w, ]{1,6}\)")


def is_name(text: str) -> bool:
    """Letters only, as in AB, f(x), S_1, (p,q) or a/b: something that is given a value."""
    if _FUNCTION.fullmatch(text):
        return True
    return bool(_NAME.fullmatch(text)) and bool(re.search("[a-zA-Z]", text))


def _is_bounded(text: str) -> bool:
    """Whether bounds of this name are those of an interval; those of |x| are not."""
    return is_name(text) and not text.startswith("|")


def name_of(text: str) -> str:
    """The label of a left side; of f(x) only f, for the letter in brackets is free."""
    function = _FUNCTION.fullmatch(text)
    return (function[1] if function else re.sub(r"[{}\s]|\\text", "", text)).lower()


def letters_of(text: str) -> str:
    """Letters of a product of a few symbols, in alphabetical order; "" for anything else."""
    if not _LETTERS.fullmatch(text):
        return ""
    return "".join(sorted(c for c in text.lower() if c.isalpha()))


def read_shape(text: str, ordered: bool, leaf: Leaf) -> Value | None:
    """The value of a normalised answer, or None where its shape cannot be made out.

    Args:
        text: as `normalise` gives it.
        ordered: whether a list without brackets keeps its order.
        leaf: gives the value of a formula inside.
    """
    try:
        return ShapeReader(ordered, leaf).listed(text)
    except (UnreadableError, ValueError, RecursionError):
        return None
