"""Read equations and inequalities: x = 5 is 5 (with a label), x < 3 is an interval."""

from collections.abc import Callable
from dataclasses import replace

from testtime.grade.atoms import Node
from testtime.grade.expressions import Reader
from testtime.grade.numbers import divide, is_real, pair
from testtime.grade.scalars import (
    constant,
    difference,
    infinity,
    is_affine,
    linear,
    proportions,
    scalar,
    variables,
)
from testtime.grade.tokens import Token, UnreadableError
from testtime.grade.values import Value, collection, interval

_EQUAL, _ABOUT = "=", frozenset({"\\approx", "\\simeq", "\\doteq"})
_ORDERS = {"<": (-1, True), "\\le": (-1, False), ">": (1, True), "\\ge": (1, False)}
_UNKNOWN = frozenset({"\\equiv", "\\subset", "\\subseteq", "\\cong", "\\sim", "\\to", "\\notin"})
_MARKS = frozenset({_EQUAL, "\\ne", "\\in", *_ABOUT, *_ORDERS, *_UNKNOWN})
_IN_NAMES = frozenset({"sym", "word", "cmd", "_", "{", "}", "(", ")", ",", "|", ":", "/", "'"})

Side = tuple[str, list[Token]]
ReadItem = Callable[[list[Token]], list[Value]]


def is_relation(token: Token) -> bool:
    """Whether the token is a relation sign."""
    return (token.text if token.kind == "cmd" else token.kind) in _MARKS


def read_relation(
    tokens: list[Token], read_item: ReadItem, cut: Callable[[list[Token]], list[Side]]
) -> list[Value] | None:
    """The value of a relation, or None where there is no relation sign outside brackets.

    Raises:
        UnreadableError: a relation that is not known here.
    """
    sides = cut(tokens)
    if len(sides) == 1:
        return None
    marks = {mark for mark, _ in sides[1:]}
    if marks & _UNKNOWN or any(not side for _, side in sides):
        raise UnreadableError("a relation that is not known")
    if marks <= {_EQUAL, *_ABOUT}:
        return _equality(sides, read_item)
    if len(sides) == 2 and marks == {"\\in"} and _is_name(sides[0][1]):
        return [v.labelled(left=_name(sides[0][1])) for v in read_item(sides[1][1])]
    if len(sides) == 2 and marks == {"\\ne"}:
        return [_unequal(sides, read_item)]
    if marks <= set(_ORDERS):
        return [_order(sides)]
    raise UnreadableError("relations of several kinds")


def _is_name(tokens: list[Token]) -> bool:
    """Letters only, as in AB, f(x), S_1, (p,q) or a/b: something that is given a value."""
    if len(tokens) > 3 and tokens[0].kind == "sym" and tokens[1].kind == "(":
        # f(-2) and P(A) are names; x(x + 1) is a product.
        inner, last = tokens[2:-1], tokens[-1].kind
        if (
            last == ")"
            and len(inner) <= 4
            and all(t.kind in ("num", "sym", "-", ",") for t in inner)
        ):
            return True
    if not all(t.kind in _IN_NAMES or _numbers_index(tokens, i) for i, t in enumerate(tokens)):
        return False
    return any(token.kind in ("sym", "word", "cmd") for token in tokens)


def _numbers_index(tokens: list[Token], at: int) -> bool:
    before = [token.kind for token in tokens[max(0, at - 2) : at]]
    return tokens[at].kind == "num" and ("_" in before or before[-1:] == ["("])


def _name(tokens: list[Token]) -> str:
    """The label of a left side; of f(x) only f, for the letter in brackets is free."""
    if len(tokens) > 2 and tokens[0].kind in ("sym", "word") and tokens[1].kind == "(":
        return tokens[0].text.lower()
    return "".join(token.text for token in tokens if token.kind not in ("{", "}")).lower()


def _equality(sides: list[Side], read_item: ReadItem) -> list[Value]:
    r"""Equations: x = 5, x = 2 + 3 = 5, or x = 1/3 \approx 0.33, whose exact value counts."""
    about = [i for i, (mark, _) in enumerate(sides) if mark in _ABOUT]
    if about and (about[0] > 1 or not _is_name(sides[0][1])):
        sides = sides[: about[0]]
    if len(sides) == 1:
        return read_item(sides[0][1])
    first, last = sides[0][1], sides[-1][1]
    if _is_name(first):
        name = _name(first)
        if len(last) == 1 and last[0].kind == "sym" and len(sides) == 2:
            return [_equation(first, last)]
        values = [value.labelled(left=name) for value in read_item(last)]
        if len(values) == 1 and values[0].kind == "scalar" and len(sides) == 2:
            return [_with_relation(values[0], first, last)]
        return values
    named = any(_is_name(side) for _, side in sides[1:-1])
    if named or all(not variables([Reader(side).whole()]) for _, side in sides):
        return read_item(last)
    if len(sides) > 2:
        raise UnreadableError("a chain of equations")
    return [_equation(first, last)]


def _with_relation(value: Value, left: list[Token], right: list[Token]) -> Value:
    try:
        equation = _equation(left, right)
    except UnreadableError:
        return value
    return replace(value, relation=equation.key)


def _equation(left: list[Token], right: list[Token]) -> Value:
    """Equations are the same when their differences are multiples of each other."""
    nodes = Reader(left).whole(), Reader(right).whole()
    key = ("equation", *proportions(difference(*nodes)))
    return Value("equation", key, relation=key, certain=is_affine(*nodes))


def _unequal(sides: list[Side], read_item: ReadItem) -> Value:
    if not _is_name(sides[0][1]):
        raise UnreadableError("an inequation that is not solved")
    point = read_item(sides[1][1])
    if len(point) != 1 or point[0].number is None:
        raise UnreadableError("an inequation that is not solved")
    both = [
        interval(infinity(-1), point[0], True, True),
        interval(point[0], infinity(1), True, True),
    ]
    return collection("union", both).labelled(left=_name(sides[0][1]))


def _order(sides: list[Side]) -> Value:
    """X < 3, 3 > x, -x > -3, -2 <= x < 7 as intervals; anything else by the difference."""
    if len(sides) == 3 and _ORDERS[sides[1][0]][0] == _ORDERS[sides[2][0]][0]:
        low, middle, high = (side for _, side in sides)
        marks = [sides[1][0], sides[2][0]]
        solved = _solved(middle)
        if solved:
            ends = [_end(low, solved), _end(high, solved)]
            return _between(ends, marks, solved)
    if len(sides) == 2:
        mark = sides[1][0]
        for subject, bound, flip in ((0, 1, 1), (1, 0, -1)):
            solved = _solved(sides[subject][1])
            if solved and not variables([Reader(sides[bound][1]).whole()]):
                return _half_line(_end(sides[bound][1], solved), mark, flip, solved)
        return _by_difference(sides[0][1], sides[1][1], mark)
    raise UnreadableError("an inequality that is not solved")


def _solved(tokens: list[Token]) -> tuple | None:
    """(label, slope, constant) of what an inequality bounds: x, f(x) or something linear."""
    if _is_name(tokens) and tokens[0].kind != "|":
        return _name(tokens), None, None
    return linear(Reader(tokens).whole())


def _end(tokens: list[Token], solved: tuple) -> Value:
    node: Node = Reader(tokens).whole()
    _, slope, offset = solved
    value = scalar(node)
    if slope is None or value.key[1] in ("oo", "-oo"):
        return value
    if value.number is None:
        raise UnreadableError("a bound that is no real number")
    a, b = pair(value.number, offset)
    return constant(divide(a - b, slope))


def _between(ends: list[Value], marks: list[str], solved: tuple) -> Value:
    (direction, open_low), (_, open_high) = _ORDERS[marks[0]], _ORDERS[marks[1]]
    negative = solved[1] is not None and solved[1] < 0
    if (direction > 0) != negative:
        ends, open_low, open_high = ends[::-1], open_high, open_low
    return interval(ends[0], ends[1], open_low, open_high).labelled(left=solved[0])


def _half_line(end: Value, mark: str, flip: int, solved: tuple) -> Value:
    direction, is_open = _ORDERS[mark]
    direction *= flip * (-1 if solved[1] is not None and solved[1] < 0 else 1)
    ends = (end, infinity(1)) if direction > 0 else (infinity(-1), end)
    opens = (is_open, True) if direction > 0 else (True, is_open)
    return interval(*ends, *opens).labelled(left=solved[0])


def _by_difference(left: list[Token], right: list[Token], mark: str) -> Value:
    direction, strict = _ORDERS[mark]
    values = difference(Reader(left).whole(), Reader(right).whole())
    if not all(is_real(value) for value in values):
        raise UnreadableError("an inequality of complex numbers")
    side = direction * (1 if values[0] > 0 else -1)
    return Value("order", ("order", strict, side, *proportions(values)), certain=False)
