"""The value of an expression at given points: exact while it can be, bounded always."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from testtime.grade.atoms import Node
from testtime.grade.numbers import (
    Number,
    checked,
    context,
    divide,
    inexact,
    is_real,
    pair,
    power,
)
from testtime.grade.tokens import UnreadableError

_TRIGONOMETRIC = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])
_LARGEST_ARGUMENT = 10.0**12


def symbols(node: Node) -> Iterator[str]:
    """Names of the variables in a tree."""
    if node[0] == "sym":
        yield node[1]
    for child in node[1:]:
        if isinstance(child, tuple):
            yield from symbols(child)


def evaluate(node: Node, at: Mapping[str, Number]) -> Number:  # noqa: PLR0911
    """The value where variable `name` is `at[name]`.

    Raises:
        UnreadableError: undefined, infinite or too large there.
    """
    kind = node[0]
    if kind == "num":
        return node[1]
    if kind == "based":
        raise UnreadableError("arithmetic in another base")
    if kind == "sym":
        return at[node[1]]
    if kind == "const":
        return _constant(node[1])
    if kind == "fn":
        return _function(node, at)
    values = [evaluate(child, at) for child in node[1:]]
    if kind == "pow":
        return power(*values)
    if kind == "div":
        return divide(*values)
    if kind == "neg":
        return -values[0]
    if kind in ("pct", "deg"):
        return divide(values[0], Fraction(100)) if kind == "pct" else values[0]
    if kind == "fact":
        return _factorial(values[0])
    a, b = pair(*values)
    return checked(a + b if kind == "add" else a * b)


def _constant(name: str) -> Number:
    if name == "inf":
        raise UnreadableError("infinity inside an expression")
    return {"pi": +context().pi, "e": +context().e, "i": context().mpc(0, 1)}[name]


def _function(node: Node, at: Mapping[str, Number]) -> Number:
    name, inner = node[1], node[2]
    if name in _TRIGONOMETRIC and inner[0] == "deg":
        value = inexact(evaluate(inner[1], at)) * context().pi / 180
    else:
        value = evaluate(inner, at)
    if name in ("root", "binom", "logb"):
        return _two_arguments(name, value, evaluate(node[3], at), any(symbols(node)))
    if name in ("abs", "floor", "ceil"):
        return _rounding(name, value)
    value = inexact(value)
    if abs(value) > _LARGEST_ARGUMENT or (name in ("exp", "sinh", "cosh") and abs(value) > 1e4):
        raise UnreadableError("a function of too large a number")
    # A bare \\log has base 10, as math-verify has it.
    function = {"log": "log10", "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan"}
    try:
        return checked(getattr(context(), function.get(name, name))(value))
    except (AttributeError, ValueError, ZeroDivisionError) as error:
        raise UnreadableError("a function that is not defined there") from error


def _two_arguments(name: str, value: Number, other: Number, variable: bool) -> Number:
    if name == "binom":
        if not all(isinstance(x, Fraction) and x.denominator == 1 for x in (value, other)):
            raise UnreadableError("a binomial of fractions")
        if not 0 <= other <= value <= 1000:
            raise UnreadableError("a binomial too large")
        import math

        return Fraction(math.comb(int(value), int(other)))
    if name == "logb":
        logarithms = [context().log(inexact(x)) for x in (value, other) if x != 0]
        if len(logarithms) < 2 or logarithms[1] == 0:
            raise UnreadableError("a logarithm that is not defined")
        return logarithms[0] / logarithms[1]
    odd = isinstance(other, Fraction) and other.denominator == 1 and other % 2 == 1
    if odd and not variable and is_real(value) and value < 0:
        return -power(-value, 1 / other)  # the real root of -8 is -2
    if other == 0:
        raise UnreadableError("a root of degree zero")
    return power(value, divide(Fraction(1), other))


def _rounding(name: str, value: Number) -> Number:
    if name == "abs":
        return abs(value)
    if not is_real(value):
        raise UnreadableError("rounding of a complex number")
    whole = context().floor(inexact(value)) if name == "floor" else context().ceil(inexact(value))
    return Fraction(int(whole))


def _factorial(value: Number) -> Number:
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= 400:
        raise UnreadableError("a factorial too large")
    import math

    return Fraction(math.factorial(int(value)))
