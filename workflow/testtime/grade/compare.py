"""Compare two answers by their values; None where math-verify has to compare them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from testtime.grade.exact import Value, constant
from testtime.study.conventions import Convention

_DECIMAL_COMMA = re.compile(r"-?\d+,\d{2,}")
_LEAST_DIGITS = 4  # significant digits that a decimal must show to equal an exact value
_FLOAT_NOISE = Fraction(1, 10**12)
_LONGEST_PRODUCT = 4  # most letters of a word that may be a product of symbols
_RANGES = frozenset({"tuple", "interval", "union"})
_UNORDERED = frozenset({"list", "set", "union"})
_LISTS = frozenset({"list", "ordered", "tuple"})
_SCALAR = frozenset({"number", "expression"})


def same(a: Value, b: Value, convention: Convention) -> bool | None:  # noqa: PLR0911
    """Whether two values are the same answer: symmetric and reflexive.

    Returns:
        None where unequal keys do not settle it, e.g. for equations that are not multiples.
    """
    if a.relation is not None and a.relation == b.relation:
        return True
    if not compatible(a.labels, b.labels, convention):
        return False
    if bool(a.labels[2]) != bool(b.labels[2]) or convention.percent == "value":
        return _percent(a, b, convention)
    if {a.kind, b.kind} <= _SCALAR:
        return _scalars(a, b, convention)
    if a.items and b.items:
        return _sequences(a, b, convention)
    if a.key == b.key or ({a.kind, b.kind} == {"text", "expression"} and _spelled_alike(a, b)):
        return True
    return False if _unlike(a, b) else None


def compatible(a: Sequence[str], b: Sequence[str], convention: Convention) -> bool:
    """Whether left sides agree if both have one, and bases agree."""
    (left, base, _), (other_left, other_base, _) = a, b
    # 40 is not 40 in base nine, though 5 is x = 5.
    if base != other_base and (convention.bases == "required" or (base and other_base)):
        return False
    return not left or not other_left or left == other_left


def _unlike(a: Value, b: Value) -> bool:
    """Whether values with unequal keys are certainly different answers."""
    kinds = {a.kind, b.kind}
    if "equation" in kinds:
        # 11a + c is not 7 = 11a + c, but two equations may have the same solutions.
        return kinds != {"equation"} or (a.certain and b.certain)
    if kinds == {"text"}:
        # "abc" and "cba" may be products.
        return not _spelled_alike(a, b) or len(a.letters) > _LONGEST_PRODUCT
    return a.certain and b.certain


def _spelled_alike(a: Value, b: Value) -> bool:
    return bool(a.letters) and a.letters == b.letters


def _scalars(a: Value, b: Value, convention: Convention) -> bool | None:
    if a.key == b.key:
        return True
    if a.number is not None and b.number is not None:
        return close(a, b, convention.decimals)
    # If values differ where roots and logarithms are unambiguous, the answers differ.
    if (a.certain and b.certain) or a.kind != b.kind or a.key[1:3] != b.key[1:3]:
        return False
    return None


def close(a: Value, b: Value, decimals: int) -> bool:
    """Whether one constant is a decimal that rounds the other."""
    if a.places is not None and b.places is not None:
        # Two decimals: only floating-point noise is tolerated.
        noisy = max(a.places, b.places) >= 10
        most = _FLOAT_NOISE * max(abs(a.number), abs(b.number))
        return noisy and abs(a.number - b.number) <= most
    return _stands_for(a, b.number, decimals) or _stands_for(b, a.number, decimals)


def _stands_for(decimal: Value, exact: Fraction, decimals: int) -> bool:
    if decimal.places is None or decimal.places < decimals:
        return False
    if abs(decimal.number) * 10**decimal.places < 10 ** (_LEAST_DIGITS - 1):
        return False
    half_a_unit = Fraction(5_000_001, 10**7) / 10**decimal.places
    return abs(decimal.number - exact) <= max(half_a_unit, _FLOAT_NOISE * abs(exact))


def _percent(a: Value, b: Value, convention: Convention) -> bool | None:
    """Compare if one side has a percent sign, or if the sign matters."""
    options = [(_of_percent(a, form), _of_percent(b, form)) for form in ("number", "value")]
    if convention.percent != "either":
        options = options[:1] if convention.percent == "number" else options[1:]
    return any(bool(_unlabelled_same(x, y, convention)) for x, y in options)


def _unlabelled_same(a: Value, b: Value, convention: Convention) -> bool | None:
    return same(a, b, replace(convention, percent="number"))


def _of_percent(value: Value, form: str) -> Value:
    if not value.labels[2]:
        return value
    left, base, _ = value.labels
    if form == "number" or value.number is None:
        return replace(value, labels=(left, base, ""))
    whole = constant(value.number / 100)
    places = None if value.places is None else value.places + 2
    return replace(whole, places=places, labels=(left, base, ""))


def _sequences(a: Value, b: Value, convention: Convention) -> bool | None:
    """Element by element if order matters, else by pairing each with a different partner."""
    kinds = {a.kind, b.kind}
    loose = kinds <= _UNORDERED | {"ordered"} and kinds != {"ordered"}
    comparable = a.kind == b.kind or loose or kinds <= _LISTS
    shape = {v.key[:3] for v in (a, b) if v.kind in ("interval", "matrix")}
    # Ranges whose ends are not all known may overlap.
    certain = a.certain and b.certain
    unequal = None if "union" in kinds and kinds <= _RANGES and not certain else False
    if not comparable or len(a.items) != len(b.items) or len(shape) > 1:
        return unequal
    if not loose:
        return _all(same(x, y, convention) for x, y in zip(a.items, b.items, strict=True))
    left, undecided = list(b.items), False
    for x in a.items:
        verdicts = [same(x, y, convention) for y in left]
        if True in verdicts:
            left.pop(verdicts.index(True))
        elif None in verdicts:
            undecided = True
        else:
            return unequal
    return None if undecided else True


def _all(verdicts) -> bool | None:
    found = list(verdicts)
    if False in found:
        return False
    return None if None in found else True


def decimal_comma(a: str, b: str) -> bool:
    """Whether one is 1,22 and the other 1.22."""
    pairs = ((a, b), (b, a))
    return any(_DECIMAL_COMMA.fullmatch(x) and x.replace(",", ".") == y for x, y in pairs)
