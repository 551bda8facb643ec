"""Cut a normalised answer into tokens: numbers, symbols, commands, words and marks."""

import re
from typing import NamedTuple


class UnreadableError(Exception):
    """The cheap reader does not know this notation; math-verify may."""


class Token(NamedTuple):
    """`kind` is num, sym, cmd, word or the mark itself; `spaced` says that a space precedes."""

    kind: str
    text: str
    spaced: bool = False


MOST_TOKENS = 400
FUNCTIONS = frozenset(
    {
        *("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan"),
        *("sinh", "cosh", "tanh", "log", "ln", "exp", "sqrt"),
    }
)
_KNOWN_WORDS = {"pi": "\\pi", "infty": "\\infty", "infinity": "\\infty", "inf": "\\infty"}
_NAMED = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
# Units written without \text; a longer word behind a number counts as a unit anyway.
UNITS = frozenset({
    "cm", "mm", "km", "dm", "in", "ft", "yd", "mi", "kg", "mg", "lb", "lbs", "oz", "ml", "mL",
    "hr", "hrs", "min", "mins", "sec", "secs", "am", "pm", "mph", "kmh", "sq", "cu", "per",
    "cent", "cents", "dollar", "dollars", "unit", "units", "degree", "degrees", "point", "points",
    "inch", "inches", "foot", "feet", "mile", "miles", "meter", "meters", "square", "cubic",
    "hour", "hours", "minute", "minutes", "second", "seconds", "day", "days", "week", "weeks",
    "year", "years", "times", "ways", "th", "st", "nd", "rd",
})  # fmt: skip
_PERCENT = frozenset({"percent", "percentage", "pct"})
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<num>\d+(?:\.\d+)?|\.\d+)"
    r"|\\text\s*\{(?P<text>[^{}]*)\}"
    r"|(?P<cmd>\\(?:[a-zA-Z]+|[{}|%&#_\\]))"
    r"|(?P<letters>[a-zA-Z]+)"
    r"|(?P<mark>[-+*/^_=<>()\[\]{}|,;:!&%'])"
)
# A name such as AZYUK2A is a word; pi2 and sin2x are not.
_CODE = re.compile(
    rf"(?!(?:{'|'.join(sorted(FUNCTIONS | set(_KNOWN_WORDS) | set(_NAMED)))}))[a-zA-Z]{{3,}}\d\w*"
)


def tokenise(text: str) -> list[Token]:
    """Tokens of a normalised answer.

    Raises:
        UnreadableError: a character that no answer has, or more than MOST_TOKENS tokens.
    """
    tokens: list[Token] = []
    position, spaced = 0, False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(tokens) > MOST_TOKENS:
            raise UnreadableError("not a notation that can be read")
        position = match.end()
        kind = match.lastgroup or "text"
        if kind == "letters" and _CODE.match(text, match.start()):
            match = _CODE.match(text, match.start())
            position = match.end()
            tokens.append(Token("word", match[0], spaced))
            spaced = False
            continue
        if kind == "space":
            spaced = True
            continue
        tokens += _tokens_of(kind, match[kind], spaced, tokens)
        spaced = False
    return tokens


def _tokens_of(kind: str, text: str, spaced: bool, before: list[Token]) -> list[Token]:
    if kind == "letters":
        return _letters(text, spaced, before)
    if kind == "text":
        return _text(text, spaced)
    if kind == "cmd":
        if text in ("\\%", "%"):
            return [Token("%", "%", spaced)]
        return [Token("cmd", text, spaced)]
    if kind == "mark":
        return [Token(text, text, spaced)]
    return [Token("num", text, spaced)]


def _letters(  # noqa: PLR0911
    text: str, spaced: bool, before: list[Token]
) -> list[Token]:
    """A run of letters: a separator, a known name, a word or a product of symbols."""
    lower = text.lower()
    if lower in ("and", "or"):
        return [Token("and", lower, spaced)]
    if lower in FUNCTIONS or lower in _NAMED:
        return [Token("cmd", "\\" + _NAMED.get(lower, lower), spaced)]
    if lower in _KNOWN_WORDS:
        return [Token("cmd", _KNOWN_WORDS[lower], spaced)]
    if lower in _PERCENT:
        return [Token("%", "%", spaced)]
    after_value = bool(before) and before[-1].kind in ("num", "}", ")", "sym", "cmd")
    if len(text) > 2 and (spaced or not after_value):
        return [Token("word", text, spaced)]
    if len(text) > 1 and text in UNITS and after_value:
        return [Token("word", text, spaced)]
    return [Token("sym", c, spaced and i == 0) for i, c in enumerate(text)]


def _text(text: str, spaced: bool) -> list[Token]:  # noqa: PLR0911
    r"""The contents of \text{...}: a name, a number, or words."""
    inner = text.strip().strip("()., ")
    lower = inner.lower()
    if not inner:
        return []
    if lower in FUNCTIONS or lower in _NAMED:
        return [Token("cmd", "\\" + _NAMED.get(lower, lower), spaced)]
    if lower in _PERCENT or inner in ("%", "\\%"):
        return [Token("%", "%", spaced)]
    if len(inner) == 1 and inner.isalpha():
        return [Token("sym", inner, spaced)]
    if re.fullmatch(r"-?\d+(\.\d+)?", inner):
        sign = [Token("-", "-", spaced)] if inner[0] == "-" else []
        return [*sign, Token("num", inner.lstrip("-"), spaced)]
    amount = re.fullmatch(r"(\d+(?:\.\d+)?)\s+([a-zA-Z ]+)", inner)
    if amount:
        return [Token("num", amount[1], spaced), Token("word", amount[2], True)]
    return [Token("word", inner, spaced)]
