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
        certain: whether unequal keys mean unequal answers.
    """

    kind: str
    key: Any
    items: tuple["Value", ...] = ()
    number: Any = None
    places: int | None = None
    labels: tuple[str, ...] = NO_LABELS
    relation: Any = None
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
    return Value("text", ("text", "".join(c for c in "".join(letters) if c.isalnum())))


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
    listed = sequence(kind, unique, ordered=False)
    return replace(listed, key=("list", *listed.key[1:]))


def interval(left: Value, right: Value, left_open: bool, right_open: bool) -> Value:
    """An interval; the open one is written like a pair, so it is one."""
    if left_open and right_open:
        return sequence("tuple", [left, right], ordered=True)
    key = ("interval", left_open, right_open, left.key, right.key)
    return Value("interval", key, (left, right), certain=left.certain and right.certain)
