"""Arithmetic on untrusted numbers: exact while it can be, bounded always."""

from fractions import Fraction
from functools import lru_cache
from typing import Any

from testtime.grade.tokens import UnreadableError

MOST_BITS = 4096
LARGEST_EXPONENT = 1e5
POINTS = 3
_DIGITS = 20
_WORKING_DIGITS = 45

Number = Any  # Fraction while exact, else mpf or mpc of the context below


@lru_cache
def context():
    """A private mpmath context; imported late, most answers need none."""
    import mpmath

    precise = mpmath.MPContext()
    precise.dps = _WORKING_DIGITS
    return precise


@lru_cache(maxsize=4096)
def sample_points(name: str) -> tuple[Fraction, ...]:
    """Where a variable is evaluated: the same points in every answer, the last one negative."""
    from testtime.study.seeds import derive

    values = [Fraction(derive("answer", name, k) % 9000 + 1000, 4001) for k in range(POINTS)]
    return (*values[:-1], -values[-1])


def checked(value: Number) -> Number:
    """Refuse numbers too large to go on with."""
    if isinstance(value, Fraction):
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
            return inexact(value)
        return value
    if not context().isfinite(value):
        raise UnreadableError("not a finite number")
    return value


def inexact(value: Number) -> Number:
    """The same number in floating point (45 digits)."""
    if isinstance(value, Fraction):
        return context().mpf(value.numerator) / value.denominator
    return value


def pair(a: Number, b: Number) -> tuple[Number, Number]:
    """Both exact or both inexact."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a, b
    return inexact(a), inexact(b)


def divide(a: Number, b: Number) -> Number:
    """A / b.

    Raises:
        UnreadableError: b is zero.
    """
    a, b = pair(a, b)
    if b == 0:
        raise UnreadableError("division by zero")
    return checked(a / b)


def power(base: Number, exponent: Number) -> Number:
    """Base ** exponent, the principal value; exact where the result is a small rational.

    Raises:
        UnreadableError: the result would be too large to write down.
    """
    if isinstance(exponent, Fraction) and isinstance(base, Fraction):
        exact = _exact_power(base, exponent)
        if exact is not None:
            return exact
    base, exponent = inexact(base), inexact(exponent)
    if base == 0:
        if context().re(exponent) <= 0:
            raise UnreadableError("zero to a power that is not positive")
        return Fraction(0)
    size = abs(context().log(base)) * abs(exponent)
    if size > LARGEST_EXPONENT:
        raise UnreadableError("a number too large")
    return checked(context().power(base, exponent))


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator == 1:
        n = exponent.numerator
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(n) * bits > MOST_BITS:
            return None
        if base == 0 and n <= 0:
            raise UnreadableError("zero to a power that is not positive")
        return base**n
    if base >= 0 and exponent.denominator <= 12:
        top = exact_root(base.numerator, exponent.denominator)
        bottom = exact_root(base.denominator, exponent.denominator)
        if top is not None and bottom:
            return _exact_power(Fraction(top, bottom), Fraction(exponent.numerator))
    return None


def exact_root(number: int, degree: int) -> int | None:
    """The integer root of a whole number of at most 1,000 bits, or None."""
    if number.bit_length() > 1000:
        return None
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**degree < number else (low, middle)
    return low if low**degree == number else None


def written(value: Number, rounded: bool = False) -> str:
    """The number to 20 digits: equal numbers are written alike, however they were reached.

    A fraction that has more digits is written out, unless it is to be `rounded`.
    """
    if isinstance(value, Fraction):
        if value.denominator == 1 and abs(value.numerator) < 10**18:
            return str(value.numerator)
        large = max(value.numerator.bit_length(), value.denominator.bit_length()) > 60
        if large and not rounded:
            return f"{value.numerator:x}/{value.denominator:x}"
        value = inexact(value)
    real, imaginary = context().re(value), context().im(value)
    if abs(imaginary) <= abs(real) * 1e-30 + 1e-30:
        return _written_real(real)
    return f"{_written_real(real)}+{_written_real(imaginary)}i"


def _written_real(value: Number) -> str:
    nearest = context().nint(value)
    if abs(value - nearest) <= 1e-25 and abs(nearest) < 10**18:
        return str(int(nearest))
    return context().nstr(value, _DIGITS)


def is_real(value: Number) -> bool:
    """Whether the number has no imaginary part."""
    return isinstance(value, Fraction) or abs(context().im(value)) <= abs(value) * 1e-30
