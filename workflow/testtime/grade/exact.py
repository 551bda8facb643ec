"""Values of answers, and those that can be read exactly: numbers and words."""

import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

Labels = tuple[str, str, str]
NO_LABELS: Labels = ("", "", "")
INFINITIES = {"\\infty": 1, "+\\infty": 1, "-\\infty": -1, "infinity": 1, "-infinity": -1,
              "inf": 1, "-inf": -1}  # fmt: skip
_LONGEST_NUMBER = 400
_DIGITS = Context(prec=20)
_EXACT_BITS = 60  # longer fractions are written out: 20 digits would not distinguish them


@dataclass(frozen=True)
class Value:
    """An answer that was read. Two values with the same key are the same answer.

    Attributes:
        kind: number, text, expression, equation, tuple, list, set, union, interval, matrix, or
            other (identified by its spelling or by math-verify's text).
        key: canonical, hashable; without labels.
        items: elements of a tuple, list, set or union, ends of an interval, entries of a matrix.
        number: a real constant's value, else None.
        places: decimals shown, if the answer is a plain decimal, else None.
        labels: parts that may be left out: the left side ("x" of x = 5), the base, the percent
            sign.
        relation: canonical form of "left = right" if the answer was written like that.
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


class UnreadableError(Exception):
    """Unmatched brackets, nothing between signs, or too deep nesting."""


def written(value: Fraction, exact: bool = True) -> str:
    """The number to 20 digits: equal numbers get equal text, however they were computed."""
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
    """A rational number, or one known to 45 digits if not `exact`."""
    return Value("number", ("n", written(value, exact)), number=value, places=places)


def infinity(sign: int) -> Value:
    """Plus or minus infinity."""
    return Value("number", ("n", "oo" if sign > 0 else "-oo"))


def spelled(text: str) -> Value:
    """An unreadable answer, identified by its spelling."""
    return Value("other", ("spelled", text), certain=False)


def text_value(words: str) -> Value:
    """Words: case, spaces and articles do not matter."""
    letters = words.lower().split()
    if len(letters) > 1 and letters[0] in ("the", "a", "an"):
        letters = letters[1:]
    word = "".join(c for c in "".join(letters) if c.isalnum())
    return Value("text", ("text", word), letters="".join(sorted(word)))


def sequence(kind: str, items: list[Value]) -> Value:
    """A tuple, list, set or union; one element is just itself, only tuples have an order."""
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
    """Ranges and points merged: disjoint, in order; uncertain if an end is not a number."""
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
            ends[0] if low == high and closed else interval(*ends, low_open, not closed)
            for low, low_open, high, closed, ends in merged
        ],
    )


def _place(end: Value) -> Fraction | float | None:
    """The position of an end on the number line, infinities included."""
    return {"oo": float("inf"), "-oo": float("-inf")}.get(end.key[-1], end.number)


def interval(left: Value, right: Value, left_open: bool, right_open: bool) -> Value:
    """An interval; an open one is written like a pair, so it is read as one."""
    if left_open and right_open:
        return sequence("tuple", [left, right])
    key = ("interval", left_open, right_open, left.key, right.key)
    return Value("interval", key, (left, right), certain=left.certain and right.certain)


_PLAIN = r"(?:\d+(?:\.\d*)?|\.\d+)"
_SCALARS = [
    re.compile(rf"(?P<sign>[-+]?)\s*(?:{pattern})")
    for pattern in (
        rf"(?P<top>{_PLAIN})",
        rf"(?P<top>{_PLAIN})\s*(?:/|:|\\div)\s*(?P<bottom>{_PLAIN})",
        rf"(?:(?P<whole>\d+)\s*)?\\frac\s*\{{\s*(?P<top>[-+]?\s*{_PLAIN})\s*\}}"
        rf"\s*(?:\{{\s*(?P<bottom>-?\s*{_PLAIN})\s*\}}|(?P<digit>\d))",
        r"(?:(?P<whole>\d+)\s*)?\\frac\s*(?P<top>\d)\s*(?:(?P<bottom>\d)|\{(?P<braced>-?\d+)\})",
        r"(?P<whole>\d+)\s+(?P<top>\d+)\s*/\s*(?P<bottom>\d+)",
    )
]
_BASED = re.compile(r"(\d+)_(?:\{\s*(?:\\text\s*\{)?\s*(\w+)[\s}]*\}|(\d+))")
_CLOCK = re.compile(r"\d{1,2}:0\d")  # 1:00 is a time of day, not a ratio
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?)(?:\s+[a-zA-Z ]+)?")
FUNCTIONS = (
    "arcsin", "arccos", "arctan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "sin", "cos",
    "tan", "cot", "sec", "csc", "log", "ln", "exp", "sqrt",
)  # fmt: skip
_WORDS = re.compile(
    rf"(?!(?:{'|'.join(FUNCTIONS)}|pi|infty)(?![a-zA-Z]))(?=.*[a-zA-Z]{{3}})"
    r"[a-zA-Z][\w.']*(?:[ -]+[a-zA-Z][\w.']*)*"
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
            return None
        value = top / Fraction(bottom.replace(" ", "")) if bottom else top
        value += int(found.get("whole") or 0)
        places = len(found["top"].partition(".")[2]) if bottom is None else 0
        return constant(-value if found["sign"] == "-" else value, places or None)
    return None


@lru_cache(maxsize=65536)
def number_or_words(text: str) -> Value | None:  # noqa: PLR0911
    """An answer without formulas: a number with its unit, percent sign or base, or words."""
    text = text.strip()
    if _CLOCK.fullmatch(text):
        return text_value(text.replace(":", "h"))
    if text in INFINITIES:
        return infinity(INFINITIES[text])
    found = scalar(text)
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


def letters_of(text: str) -> str:
    """Letters of a product of a few symbols, in alphabetical order; "" for anything else."""
    if not _LETTERS.fullmatch(text):
        return ""
    return "".join(sorted(c for c in text.lower() if c.isalpha()))
