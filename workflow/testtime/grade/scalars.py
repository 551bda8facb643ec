"""From an expression tree to a value: a constant, or a function known by its values at points."""

from collections.abc import Sequence
from fractions import Fraction

from testtime.grade.atoms import Node
from testtime.grade.evaluation import evaluate, symbols
from testtime.grade.numbers import (
    POINTS,
    Number,
    divide,
    is_real,
    pair,
    sample_points,
    written,
)
from testtime.grade.tokens import UnreadableError
from testtime.grade.values import Value


def infinity(sign: int) -> Value:
    """Plus or minus infinity."""
    return Value("scalar", ("n", "oo" if sign > 0 else "-oo"))


def scalars_of(node: Node) -> list[Value]:
    """The value of an expression; two values where it holds a ±."""
    both = [_alternative(node, upper) for upper in (True, False)]
    values = [scalar(both[0])]
    if both[1] != both[0]:
        other = scalar(both[1])
        values += [other] if other.key != values[0].key else []
    return values


def _alternative(node: Node, upper: bool) -> Node:
    if node[0] in ("pm", "mp"):
        plus = (node[0] == "pm") == upper
        left, right = (_alternative(child, upper) for child in node[1:])
        return ("add", left, right if plus else ("neg", right))
    return tuple(_alternative(part, upper) if isinstance(part, tuple) else part for part in node)


def scalar(node: Node) -> Value:  # noqa: PLR0911
    """Value of one expression.

    Raises:
        UnreadableError: it cannot be evaluated.
    """
    kind, inner = node[0], node[1]
    if kind == "pct":
        return scalar(inner).labelled(percent="%")
    if kind == "deg":
        return scalar(inner)
    if kind == "based":
        return scalar(("num", inner, 0)).labelled(base=node[2])
    if node == ("const", "inf"):
        return infinity(1)
    if node == ("neg", ("const", "inf")):
        return infinity(-1)
    names = variables([node])
    if not names:
        return constant(evaluate(node, {}), _places(node))
    values = values_at_points(node, names)
    keys = [written(value, rounded=True) for value in values]
    if len(set(keys)) == 1:
        return constant(values[0])
    # Where only the negative point is complex, a root or logarithm chose a branch there.
    certain = is_real(values[-1]) or not is_real(values[0])
    return Value("scalar", ("x", *keys), letters=_letters(node), certain=certain)


def _letters(node: Node) -> str:
    """Letters of a product of symbols, in alphabetical order; "" for anything else."""
    if node[0] == "mul":
        parts = [_letters(child) for child in node[1:]]
        return "".join(sorted("".join(parts))) if all(parts) else ""
    return node[1].lower() if node[0] in ("sym", "const") and len(node[1]) == 1 else ""


def constant(value: Number, places: int | None = None) -> Value:
    """A number."""
    return Value(
        "scalar", ("n", written(value)), number=value if is_real(value) else None, places=places
    )


def _places(node: Node) -> int | None:
    node = node[1] if node[0] == "neg" else node
    return node[2] if node[0] == "num" and node[2] else None


def variables(nodes: Sequence[Node]) -> dict[str, str]:
    """Names in the trees and what they are called: case matters only where both cases occur."""
    names = {name for node in nodes for name in symbols(node)}
    lowered = {name.lower() for name in names}
    return {name: name.lower() if len(lowered) == len(names) else name for name in sorted(names)}


def values_at_points(node: Node, names: dict[str, str]) -> list[Number]:
    """The expression at each of the sample points of its variables."""
    return [
        evaluate(node, {name: sample_points(called)[k] for name, called in names.items()})
        for k in range(POINTS)
    ]


def is_affine(left: Node, right: Node) -> bool:
    """Whether left - right is of degree one: then unequal proportions are unequal solutions."""
    names = variables([left, right])
    share = Fraction(3, 7)

    def at(k: int, j: int) -> Number:
        place = {
            name: share * sample_points(called)[k] + (1 - share) * sample_points(called)[j]
            for name, called in names.items()
        }
        a, b = pair(evaluate(left, place), evaluate(right, place))
        return a - b

    for k, j in ((0, 1), (1, 2)):
        a, b = pair(at(k, k), at(j, j))
        expected = pair(a, share)[0] * pair(a, share)[1] + b * pair(b, 1 - share)[1]
        if written(expected, rounded=True) != written(at(k, j), rounded=True):
            return False
    return True


def difference(left: Node, right: Node) -> list[Number]:
    """Left - right at the sample points.

    Raises:
        UnreadableError: it is zero at the first point (an identity, or no equation to compare).
    """
    names = variables([left, right])
    values = []
    for sides in zip(values_at_points(left, names), values_at_points(right, names), strict=True):
        a, b = pair(*sides)
        values.append(a - b)
    if written(values[0], rounded=True) == "0":
        raise UnreadableError("an identity")
    return values


def proportions(values: list[Number]) -> tuple[str, ...]:
    """The values over the first: the same for all multiples of one function."""
    return tuple(written(divide(value, values[0]), rounded=True) for value in values[1:])


def linear(node: Node) -> tuple[str, Number, Number] | None:
    """(variable, slope, constant) where the tree is linear in its only variable, else None."""
    names = list(variables([node]))
    if len(names) != 1:
        return None
    values = values_at_points(node, {names[0]: names[0]})
    x = sample_points(names[0])
    steps = [pair(values[k], values[0]) for k in (1, 2)]
    slopes = [divide(a - b, x[k] - x[0]) for k, (a, b) in zip((1, 2), steps, strict=True)]
    if written(slopes[0]) != written(slopes[1]) or slopes[0] == 0 or not is_real(slopes[0]):
        return None
    a, b = pair(values[0], slopes[0])
    return names[0], slopes[0], a - b * pair(b, x[0])[1]
