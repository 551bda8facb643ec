"""What math-verify makes of answers, in a child process: one JSON line in, one out.

Started as `python -m testtime.grade.mathverify`, so that nothing of the parent is imported or
pickled. Time and memory are bounded, and what text could do by accident or by design is shut off.
"""

import json
import logging
import os
import re
import resource
import signal
import sys
import time
from fractions import Fraction
from functools import lru_cache

from testtime.grade.exact import FUNCTIONS
from testtime.study.seeds import derive

_DIGITS = 45
_POINTS = 3
_SHOWN = 20
_TINY = 1e-30
_NUMBER = re.compile(r"\d*\.?\d+(?:[eE][-+]?\d{1,4})?")
_as_floats = [False]  # how decimals are read: rounded in `plain`, as math-verify does, else exactly


def load() -> None:
    """Import math-verify (a second), and mend two things that matter with hostile text.

    Its comparisons end in `except Exception: pass`, which takes running out of memory or of stack
    for a difference; leaving those two out of what its grader calls Exception lets them through.
    Its LaTeX reader makes numbers with sympy.Number(text), which ends in Python's `eval`.
    """
    from latex2sympy2_extended import latex2sympy2
    from math_verify import grader

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    failures = [e for e in Exception.__subclasses__() if e not in (MemoryError, RuntimeError)]
    grader.Exception = (*failures, NotImplementedError)
    latex2sympy2.Number = number
    latex2sympy2._Latex2Sympy.parse_number = lambda _self, text: number(text.replace(",", ""))


def number(text: str):
    """The sympy number that a run of digits is, without evaluating anything.

    Raises:
        ValueError: it is no such run.
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
        (r"\)\s*\(", r") \\cdot ("),  # math-verify takes (2)(3) for a mixed number
        # 1/2x is half of x where a person types it.
        (r"(?<![\w.}^])(\d+)\s*/\s*(\d+)(?=\s*[a-zA-Z\\(])", r"\\frac{\1}{\2}"),
    ]
]
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\\deg(?![a-zA-Z])")


@lru_cache(maxsize=1024)
def parse(answer: str):
    """The sympy object that math-verify's LaTeX reader finds in a normalised answer, or None.

    Its reader for plain expressions is not used: that one ends in Python's `eval`.
    """
    from latex2sympy2_extended.math_normalization import normalize_latex
    from math_verify import LatexExtractionConfig
    from math_verify.parser import get_last_eq

    text = _NAMED.sub(r"\\\1", answer)
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    # math-verify takes the degrees of a sine for radians; elsewhere they are a unit.
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
    """Read LaTeX; `quickly`: by the grammar's SLL prediction, whose success is a success of LL."""
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
    """What a formula is: a number, an expression known by its values, an equation, or other.

    Returns:
        ({"kind", "parts", "certain"}, reason). Parts are, for a "number", the real and imaginary
        part, exact or with 45 digits; for an "expression" its values at three points, one of them
        negative, to 20 digits; for an "equation" left - right there, over the first; for anything
        else math-verify's text. Not `certain`: unequal parts may still be the same answer.
        None where it cannot be read.
    """
    found = parse(answer)
    if found is None:
        return None, "math-verify cannot read the answer"
    try:
        read = _known_by_values(found)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # sympy raises whatever it likes where something has no value
        read = None
    if read is None:
        plain = str(found.doit() if hasattr(found, "doit") else found)
        if plain in ("zoo", "nan"):
            return None, "the answer has no value"
        read = {"kind": "other", "parts": [plain], "certain": False}
    return read, "math-verify"


def _known_by_values(found) -> dict | None:
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
        real, other = (_chopped(part, parts) for part in parts)
        return {"kind": "number", "parts": [str(real), str(other)], "certain": True}
    values = _at_points(found)
    if values is None:
        return None
    shown = [_shown(v) for v in values]
    if len(set(shown)) == 1:
        return {"kind": "number", "parts": shown[0].split("+"), "certain": True}
    # Where only the negative point is complex, a root or logarithm chose a branch there.
    complex_ = [_chopped(sympy.im(v), (v,)) != 0 for v in values]
    certain = not complex_[-1] or complex_[0]
    return {"kind": "expression", "parts": shown, "certain": certain}


def _real_roots(constant):
    """The real root of a negative number where the degree is odd: that of -8 is -2."""
    return constant.replace(
        lambda e: (
            e.is_Pow and e.exp.is_Rational and e.exp.q % 2 and e.exp.q > 1 and e.base.is_negative
        ),
        lambda e: (-1) ** (e.exp.p % 2) * (-e.base) ** e.exp,
    )


def _at_points(expression) -> list | None:
    """Its values at the points of its variables; None where they are no finite numbers.

    Case matters only where both cases of a letter occur.
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
    """Where a variable is evaluated: the same points in every answer, the last one negative."""
    import sympy

    top = derive("answer", name, k) % 9000 + 1000
    return sympy.Rational(-top if k == _POINTS - 1 else top, 4001)


def _chopped(part, parts):
    """The part, or 0 where it is but the noise of the other."""
    return 0 if abs(part) <= _TINY * (1 + sum(abs(p) for p in parts)) else part


def _shown(found) -> str:
    """A complex number to 20 digits."""
    parts = found.as_real_imag()
    shown = [_chopped(part, parts) for part in parts]
    return "+".join(str(part if part == 0 else part.evalf(_SHOWN)) for part in shown)


# --- comparing ----------------------------------------------------------------------------------


def equal(answer: str, gold: str) -> tuple[bool | None, str]:
    """Whether math-verify takes the two for equal, whichever of them is called the gold.

    Returns:
        (True | False | None, reason); None where one of them cannot be read.
    """
    from math_verify import verify

    left, right = parse(answer), parse(gold)
    if left is None or right is None:
        return None, f"math-verify cannot read the {'answer' if left is None else 'gold'}"
    for a, b in ((right, left), (left, right)):
        if not verify(
            a, b, allow_set_relation_comp=True, timeout_seconds=None, raise_on_error=True
        ):
            return False, "math-verify: different"
    return True, "math-verify: equal"


def plain(answer: str, gold: str) -> tuple[bool | None, str]:
    """The verdict of math-verify called plainly on both, as a cross-check."""
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


# --- the process --------------------------------------------------------------------------------

OPERATIONS = {"equal": equal, "plain": plain, "value": value}
_FORBIDDEN = (
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile",
    "subprocess.Popen", "socket.", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link",
    "os.symlink", "os.truncate", "os.chmod", "os.chown", "shutil.", "ctypes.", "urllib.",
    "ftplib.", "smtplib.", "webbrowser.", "pty.",
)  # fmt: skip


class Refused(BaseException):
    """Something forbidden was asked for; no `except Exception` below may pass it over."""


def lock_down() -> None:
    """Refuse, from here on, other processes, the network, writing and `eval` of text.

    Nothing below asks for any of it; this is a second wall, and tests lean on it.
    """
    import sympy
    import sympy.parsing.sympy_parser as parser
    import sympy.physics.units  # `simplify` imports it late, and it evaluates literals of its own

    def fraction(text: str, *_args, **_kwargs):
        # sympy's tables hold literals such as "3/2"; anything else is refused.
        if not re.fullmatch(r"-?\d{1,9}(/\d{1,9})?", str(text)):
            raise Refused("text is never evaluated")
        top, _, bottom = text.partition("/")
        return sympy.Rational(int(top), int(bottom or 1))

    def refuse(*_args, **_kwargs):
        raise Refused("text is never evaluated")

    parser.eval_expr = refuse
    sympy.parse_expr = parser.parse_expr = fraction
    known = {name.partition(".")[0] for name in sys.modules} | set(sys.stdlib_module_names)

    def hook(event: str, args: tuple) -> None:
        if event.startswith(_FORBIDDEN):
            raise Refused(f"{event} is not allowed here")
        if event == "open" and (
            any(c in str(args[1] or "r") for c in "wax+")
            or (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR))
        ):
            raise Refused("writing is not allowed here")
        if event == "import" and str(args[0]).partition(".")[0] not in known:
            raise ImportError(f"no import of {args[0]} here")

    sys.addaudithook(hook)


def answer(task: dict) -> dict:
    """The reply to one task; `stop` says that this process should not go on."""
    try:
        result, reason = OPERATIONS[task["op"]](*task["args"])
    except MemoryError:
        return {"result": None, "reason": "undecided: over the memory limit", "stop": True}
    except RecursionError:
        return {"result": None, "reason": "undecided: nested too deeply"}
    except Refused as error:
        return {"result": None, "reason": f"undecided: refused ({error})"}
    except Exception as error:  # whatever sympy raises on hostile text
        return {"result": None, "reason": f"undecided: math-verify failed ({type(error).__name__})"}
    if result is None:
        reason = f"undecided: {reason}"
    return {"result": result, "reason": reason}


def main(memory_limit_mb: int, time_limit_s: float) -> None:
    """Answer tasks until standard input ends.

    Args:
        memory_limit_mb: megabytes of address space.
        time_limit_s: processor seconds of one task; past them the process is gone.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a print of some library must not mix with the replies
    load()
    # Parse and compare once: the grammar and lazy imports load before memory is bounded.
    equal("\\frac{1}{2}x", "0.5x")
    limit = memory_limit_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    lock_down()
    out.write('{"ready": true}\n')
    out.flush()
    for line in sys.stdin:
        # Processor time, so that a verdict does not depend on what else the machine does. Nothing
        # catches the signal: it ends the process wherever it is, also when the parent is gone.
        signal.setitimer(signal.ITIMER_PROF, time_limit_s)
        started = time.process_time()
        reply = answer(json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        out.write(json.dumps({**reply, "seconds": time.process_time() - started}) + "\n")
        out.flush()
        if reply.get("stop"):
            break


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
