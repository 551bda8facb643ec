"""What math-verify says of two answers. Runs in a child process only: see `worker`."""

import logging
import re

from testtime.grade.normal import normalise
from testtime.grade.numbers import written

_DIGITS = 45
_NUMBER = re.compile(r"\d*\.?\d+(?:[eE][-+]?\d{1,4})?")


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
    return sympy.Float(text)


def parse(answer: str):
    """The sympy object that math-verify reads in an answer, or None.

    Only its LaTeX reader is used: the one for plain expressions ends in Python's `eval`.
    """
    from math_verify import LatexExtractionConfig
    from math_verify import parse as parse_latex

    spelled = " ".join(answer.replace("$", "").split())
    for text in dict.fromkeys((spelled, normalise(answer).replace("\\deg", ""))):
        found = parse_latex(
            f"${text}$",
            extraction_config=[LatexExtractionConfig(boxed_match_priority=-1)],
            fallback_mode="no_fallback",
            parsing_timeout=None,
        )
        if found:
            return found[0]
    return None


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
    from math_verify import verify

    left, right = parse(answer), parse(gold)
    if left is None or right is None:
        return False, "math-verify cannot read it"
    return bool(verify(right, left, timeout_seconds=None)), "math-verify"


def key(answer: str) -> tuple[list[str] | None, str]:
    """A canonical form, so that equal answers of a vote meet; None where it cannot be read."""
    found = parse(answer)
    if found is None:
        return None, "math-verify cannot read the answer"
    value = found.doit() if hasattr(found, "doit") else found
    if getattr(value, "is_number", False) and value.is_finite:
        from testtime.grade.numbers import context

        real, imaginary = value.evalf(_DIGITS).as_real_imag()
        parts = [context().mpf(str(part)) for part in (real, imaginary)]
        return ["n", written(context().mpc(*parts))], "math-verify"
    return ["sympy", str(value)], "math-verify"
