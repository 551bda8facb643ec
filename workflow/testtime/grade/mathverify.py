"""Reading and comparing answers with math-verify. Runs only in a child process: see `worker`."""

import logging
import re
from fractions import Fraction
from functools import lru_cache

from testtime.grade.exact import FUNCTIONS
from testtime.study.seeds import derive

_DIGITS = 45
_POINTS = 3
_SHOWN = 20
_TINY = 1e-30
_TINIEST = Fraction(1, 10**1000)
_NUMBER = re.compile(r"\d*\.?\d+(?:[eE][-+]?\d{1,4})?")
_as_floats = [False]  # how decimals are read: rounded in `plain`, as math-verify does, else exactly


def load() -> None:
    """Import math-verify (takes a second), and fix two things that matter for hostile text.

    Its comparisons end in `except Exception: pass`, which turns running out of memory or stack into
    a difference; excluding both from what its grader calls Exception lets them through. Its LaTeX
    reader makes numbers with sympy.Number(text), which ends in Python's `eval`.
    """
    from latex2sympy2_extended import latex2sympy2
    from math_verify import grader

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    failures = [e for e in Exception.__subclasses__() if e not in (MemoryError, RuntimeError)]
    grader.Exception = (*failures, NotImplementedError)
    latex2sympy2.Number = number
    latex2sympy2._Latex2Sympy.parse_number = lambda _self, text: number(text.replace(",", ""))


def number(text: str):
    """The sympy number of a run of digits, without evaluating anything.

    Raises:
        ValueError: it is not a run of digits.
    """
    import sympy

    if text.isascii() and text.isdigit():
        return sympy.Integer(int(text))
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    if _as_floats[0]:
        return sympy.Float(text)
    exact = Fraction(text)
    return sympy.Rational(exact.numerator, exact.denominator)


# --- reading ------------------------------------------------------------------------------------

_NAMED = re.compile(rf"(?<![\\a-zA-Z])({'|'.join(FUNCTIONS)}|pi|infty)(?![a-zA-Z])")
_SPELLINGS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"\\text\s*\{\s*([a-zA-Z])\s*\}", r" \1"),
        (r"\{\s+", "{"),
        (r"\\(asin|acos|atan)(?![a-zA-Z])", lambda match: "\\arc" + match[1][1:]),
        (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"\)\s*\(", r") \\cdot ("),  # math-verify reads (2)(3) as a mixed number
        # 1/2x as people type it is half of x.
        (r"(?<![\w.}^])(\d+)\s*/\s*(\d+)(?=\s*[a-zA-Z\\(])", r"\\frac{\1}{\2}"),
    ]
]
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\\deg(?![a-zA-Z])")


@lru_cache(maxsize=1024)
def parse(answer: str):
    """The sympy object that math-verify's LaTeX reader finds in a normalised answer, or None.

    Its reader for plain expressions is not used: it ends in Python's `eval`.
    """
    from latex2sympy2_extended.math_normalization import normalize_latex
    from math_verify import LatexExtractionConfig
    from math_verify.parser import get_last_eq

    text = _NAMED.sub(r"\\\1", answer)
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    # math-verify reads the degrees of a sine as radians; elsewhere they are a unit.
    trigonometric = any(f"\\{name}" in text for name in ("sin", "cos", "tan", "cot", "sec", "csc"))
    text = _DEGREES.sub(r"(\1\\cdot\\pi/180)" if trigonometric else r"\1", text)
    text = normalize_latex(text.replace("\\deg", ""), LatexExtractionConfig().normalization_config)
    for part in dict.fromkeys((text, get_last_eq(text))):
        for quickly in (True, False):
            try:
                return _latex(part, quickly)
            except (MemoryError, RecursionError):
                raise
            except Exception:  # the grammar's own errors are plain Exceptions
                continue
    return None


def _latex(text: str, quickly: bool):
    """Read LaTeX; `quickly`: by the grammar's SLL prediction; if that succeeds, LL agrees."""
    from antlr4.atn.ParserATNSimulator import PredictionMode
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
    from math_verify.parser import should_treat_as_complex

    class Reader(_Latex2Sympy):
        def create_parser(self, latex):
            parser = super().create_parser(latex)
            if quickly:
                parser._interp.predictionMode = PredictionMode.SLL
            return parser

    is_real = not should_treat_as_complex(text)
    return Reader(None, is_real, config=ConversionConfig(lowercase_symbols=False)).parse(text)


def value(answer: str) -> tuple[dict | None, str]:
    """The value of a formula: a number, an expression by its values, an equation, or other.

    Returns:
        ({"kind", "parts", "certain"}, reason). Parts are, for a "number", the real and imaginary
        part, exact or with 45 digits; for an "expression" its values at three points, one of them
        negative, to 20 digits; for an "equation" left - right at these points, divided by the
        first; for anything else math-verify's text. Not `certain`: unequal parts may still be the
        same answer. None where it cannot be read.
    """
    found = parse(answer)
    if found is None:
        return None, "math-verify cannot read the answer"
    try:
        read = _known_by_values(found)
    except (MemoryError, RecursionError):
        raise
    except OverflowError as error:
        return None, str(error)
    except Exception:  # sympy raises anything if something has no value
        read = None
    if read is None:
        plain = str(found.doit() if hasattr(found, "doit") else found)
        if plain in ("zoo", "nan"):
            return None, "the answer has no value"
        read = {"kind": "other", "parts": [plain], "certain": False}
    return read, "math-verify"


def _known_by_values(found) -> dict | None:  # noqa: PLR0911
    import sympy

    if isinstance(found, sympy.Eq):
        left, right = found.args
        if not all(isinstance(side, sympy.Expr) for side in (left, right)):
            return None
        difference = left - right
        values = _at_points(difference)
        if values is None or values[0] == 0:
            return None
        shares = [_shown(other / values[0]) for other in values[1:]]
        names = sorted(difference.free_symbols, key=str)
        affine = difference.is_polynomial(*names) and sympy.Poly(difference, *names).is_linear
        return {"kind": "equation", "parts": shares, "certain": bool(affine)}
    if not isinstance(found, sympy.Expr):
        return None
    imaginary = sympy.Symbol("i", real=False), sympy.Symbol("i", real=True)
    if not found.free_symbols - set(imaginary):
        constant = _real_roots(found.subs(dict.fromkeys(imaginary, sympy.I))).doit()
        if constant.is_Rational:
            return {"kind": "number", "parts": [str(constant), "0"], "certain": True}
        parts = constant.evalf(_DIGITS).as_real_imag()
        if not all(part.is_Number and part.is_finite for part in parts):
            return None
        if any(part and not _TINIEST < abs(part) < 1 / _TINIEST for part in parts):
            raise OverflowError("a number too large to write down")
        real, other = (_chopped(part, parts) for part in parts)
        return {"kind": "number", "parts": [str(real), str(other)], "certain": True}
    values = _at_points(found)
    if values is None:
        return None
    shown = [_shown(v) for v in values]
    if len(set(shown)) == 1:
        return {"kind": "number", "parts": shown[0].split("|"), "certain": True}
    # If only the negative point is complex, a root or logarithm chose a branch there.
    complex_ = [_chopped(sympy.im(v), (v,)) != 0 for v in values]
    certain = not complex_[-1] or complex_[0]
    return {"kind": "expression", "parts": shown, "certain": certain}


def _real_roots(constant):
    """The real root of a negative number if the degree is odd: the cube root of -8 is -2."""
    return constant.replace(
        lambda e: (
            e.is_Pow and e.exp.is_Rational and e.exp.q % 2 and e.exp.q > 1 and e.base.is_negative
        ),
        lambda e: (-1) ** (e.exp.p % 2) * (-e.base) ** e.exp,
    )


def _at_points(expression) -> list | None:
    """Its values at the points of its variables; None if they are not finite numbers.

    Case matters only if both cases of a letter occur.
    """
    import sympy

    symbols = expression.free_symbols
    lowered = {str(symbol).lower() for symbol in symbols}
    values = []
    for k in range(_POINTS):
        place = {}
        for symbol in symbols:
            name = str(symbol)
            called = name.lower() if len(lowered) == len(symbols) else name
            place[symbol] = sympy.I if name == "i" else _point(called, k)
        found = expression.evalf(_DIGITS, subs=place)
        if not found.is_number:
            found = expression.subs(place).evalf(_DIGITS)
        if not found.is_number or not found.is_finite:
            return None
        values.append(found)
    return values


def _point(name: str, k: int):
    """The value of a variable at point k: the same in every answer, the last one negative."""
    import sympy

    top = derive("answer", name, k) % 9000 + 1000
    return sympy.Rational(-top if k == _POINTS - 1 else top, 4001)


def _chopped(part, parts):
    """The part, or 0 if it is only rounding noise of the other."""
    return 0 if abs(part) <= _TINY * (1 + sum(abs(p) for p in parts)) else part


def _shown(found) -> str:
    """A complex number to 20 digits."""
    parts = found.as_real_imag()
    shown = [_chopped(part, parts) for part in parts]
    return "|".join(str(part if part == 0 else part.evalf(_SHOWN)) for part in shown)


# --- comparing ----------------------------------------------------------------------------------


def equal(answer: str, gold: str) -> tuple[bool | None, str]:
    """Whether math-verify finds the two equal, whichever of them is called the gold.

    Returns:
        (True | False | None, reason); None if one of them cannot be read.
    """
    from math_verify import verify

    left, right = parse(answer), parse(gold)
    if left is None or right is None:
        return None, f"math-verify cannot read the {'answer' if left is None else 'gold'}"
    # Always both orders: if one of them fails, the pair is undecided from either side.
    verdicts = [
        verify(a, b, allow_set_relation_comp=True, timeout_seconds=None, raise_on_error=True)
        for a, b in ((right, left), (left, right))
    ]
    return (True, "math-verify: equal") if all(verdicts) else (False, "math-verify: different")


def plain(answer: str, gold: str) -> tuple[bool | None, str]:
    """The verdict of plain math-verify on both, as a cross-check."""
    from math_verify import LatexExtractionConfig, verify
    from math_verify import parse as parse_text

    _as_floats[0] = True
    try:
        left, right = (
            parse_text(
                f"${' '.join(text.replace('$', '').split())}$",
                extraction_config=[LatexExtractionConfig(boxed_match_priority=-1)],
                fallback_mode="no_fallback",
                parsing_timeout=None,
            )
            for text in (answer, gold)
        )
    finally:
        _as_floats[0] = False
    if not left or not right:
        return False, "math-verify cannot read it"
    return bool(verify(right, left, timeout_seconds=None)), "math-verify"
