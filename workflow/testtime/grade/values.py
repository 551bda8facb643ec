"""What an answer turns out to be once it is read."""

from dataclasses import dataclass, replace
from typing import Any

NO_LABELS: tuple[str, ...] = ("", "", "")


@dataclass(frozen=True)
class Value:
    """An answer that was read. Two values with the same key are the same answer.

    Attributes:
        kind: scalar, text, tuple, list, set, union, interval, matrix, equation or order.
        key: canonical, hashable; labels are no part of it.
        items: elements of a tuple or list, ends of an interval, entries of a matrix.
        number: a real constant's value, else None.
        places: decimals shown, where the answer is a plain decimal, else None.
        labels: what may be left out: the left side ("x" of x = 5), the base, the percent sign.
        relation: canonical form of "left = right" where the answer was written so.
        letters: of a word, or of a product of symbols, in alphabetical order: $odd$ is both.
        certain: whether unequal keys mean unequal answers.
    """

    kind: str
    key: Any
    items: tuple["Value", ...] = ()
    number: Any = None
    places: int | None = None
    labels: tuple[str, ...] = NO_LABELS
    relation: Any = None
    letters: str = ""
    certain: bool = True

    def labelled(self, left: str = "", base: str = "", percent: str = "") -> "Value":
        """The same with labels added."""
        labels = tuple(n or o for n, o in zip((left, base, percent), self.labels, strict=True))
        return replace(self, labels=labels)


def text_value(words: str) -> Value:
    """Words: case, spaces and articles do not matter."""
    letters = words.lower().split()
    if len(letters) > 1 and letters[0] in ("the", "a", "an"):
        letters = letters[1:]
    word = "".join(c for c in "".join(letters) if c.isalnum())
    return Value("text", ("text", word), letters="".join(sorted(word)))


def sequence(kind: str, items: list[Value], ordered: bool) -> Value:
    """A tuple, or a list or set; one element stands for itself."""
    if len(items) == 1:
        return items[0]
    keys = [item.key for item in items]
    if not ordered:
        keys.sort(key=repr)
    return Value(kind, (kind, *keys), tuple(items), certain=all(item.certain for item in items))


def collection(kind: str, items: list[Value]) -> Value:
    """A "set" of elements, or a "union" of intervals: unordered, nothing twice."""
    unique = list({item.key: item for item in items}.values())
    if len(unique) == 1:
        return unique[0]
    if kind == "union":
        merged = merge_ranges(unique)
        if merged is None:
            return replace(_unordered(kind, unique), certain=False)
        unique = merged
        if len(unique) == 1:
            return unique[0]
    return _unordered(kind, unique)


def _unordered(kind: str, items: list[Value]) -> Value:
    listed = sequence(kind, items, ordered=False)
    return replace(listed, key=("list", *listed.key[1:]))


def merge_ranges(items: list[Value]) -> list[Value] | None:
    """Intervals and points as disjoint ranges in order; None where an end is no known number."""
    ranges = []
    for item in items:
        ends = item.items if item.kind in ("interval", "tuple") else (item, item)
        opens = item.key[1:3] if item.kind == "interval" else (item.kind == "tuple",) * 2
        if len(ends) != 2 or any(_place(end) is None for end in ends):
            return None
        ranges.append((_place(ends[0]), opens[0], _place(ends[1]), opens[1], *ends))
    ranges.sort(key=lambda r: r[:4])
    merged = ranges[:1]
    for low, low_open, high, high_open, start, end in ranges[1:]:
        last_low, last_open, last_high, last_high_open, last_start, _ = merged[-1]
        if low > last_high or (low == last_high and low_open and last_high_open):
            merged.append((low, low_open, high, high_open, start, end))
        elif (high, not high_open) > (last_high, not last_high_open):
            merged[-1] = (last_low, last_open, high, high_open, last_start, end)
    return [
        start if low == high and not low_open else interval(start, end, low_open, high_open)
        for low, low_open, high, high_open, start, end in merged
    ]


def _place(end: Value) -> Any:
    """Where an end lies on the line; infinities included."""
    if end.key in (("n", "oo"), ("n", "-oo")):
        return float("-inf" if end.key[1] == "-oo" else "inf")
    return end.number


def interval(left: Value, right: Value, left_open: bool, right_open: bool) -> Value:
    """An interval; the open one is written like a pair, so it is one."""
    if left_open and right_open:
        return sequence("tuple", [left, right], ordered=True)
    key = ("interval", left_open, right_open, left.key, right.key)
    return Value("interval", key, (left, right), certain=left.certain and right.certain)
