"""One spelling for answers that differ only in how they are typeset."""

import re
import unicodedata
from functools import lru_cache

_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "÷": "/", "⁄": "/", "∕": "/",
    "π": r"\pi ", "√": r"\sqrt ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ",
    "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "±": r"\pm ", "∓": r"\mp ",
    "°": r"^\circ ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "λ": r"\lambda ",
    "μ": r"\mu ", "φ": r"\phi ", "∅": r"\emptyset ", "ℝ": r"\mathbb{R} ", "⟨": r"\langle ",
    "⟩": r"\rangle ", "“": "", "”": "", "‘": "", "’": "", "，": ",", "；": ";", "：": ":",
    "（": "(", "）": ")", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
    "€": "", "£": "", "¥": "", "₹": "", "。": "", "、": ",",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SYMBOL_TABLE = str.maketrans(_SYMBOLS)

_FONTS = (
    r"math(?:rm|bf|it|sf|tt|normal|cal|frak)|boldsymbol|bm|[mh]box|operatorname\*?"
    r"|text(?:normal|bf|it|rm|sf)?"
)
_DEGREE = r"\^\s*\{\s*(?:\\circ|\\degree)\s*\}|\^\s*\\circ(?![a-zA-Z])|\\degree(?![a-zA-Z])"
_SIZES = r"left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits|mathstrut"
_RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (rf"\\(?:{_SIZES})(?![a-zA-Z])\.?", ""),
        (r"\s+(?=[)\]},;])|(?<=[(\[{])\s+", ""),
        (r"(?<=\d)\s*(?:,?\\[!,; ]|\{,\s*\}(?:\\!)?)\s*(?=\d{3}(?!\d))", ""),
        (r"\{,\}", ","),
        (r"\\!", ""),
        (r"\)\s*\\q?quad\s*\(", "), ("),
        (r"(?<!\\)\\(?=[\d-])", " "),  # the rest of "\ " after spaces were stripped
        (r"\\q?quad|(?<!\\)\\[,;:> ]|~", " "),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\(?:[lr]brace)(?![a-zA-Z])", lambda m: r"\{" if m[0] == r"\lbrace" else r"\}"),
        (rf"\\(?:{_FONTS})\s*\{{", r"\\text{"),
        (r"\\(?:rm|bf|it)\s+", ""),
        (r"\\text\s*\{\s*(,?\s*(?:and|or)\s*,?)\s*\}", r" \1 "),
        (r"\\(?:leq|leqslant|le)(?![a-zA-Z])", r"\\le "),
        (r"\\(?:geq|geqslant|ge)(?![a-zA-Z])", r"\\ge "),
        (r"\\(?:neq|ne|not\s*=)(?![a-zA-Z])", r"\\ne "),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"<=|=<", r"\\le "),
        (r">=", r"\\ge "),
        (r"!=", r"\\ne "),
        (r"\\colon(?![a-zA-Z])", ":"),
        (_DEGREE, r"\\deg "),
        (r"(?<=\d)\s*\^\s*(?:\\text)?\{\s*(?:\\text\s*\{\s*)?(?:th|st|nd|rd)\s*\}{1,2}", ""),
        (r"(?<=[\d)\]}])(and|or)(?![a-z]{2})", r" \1 "),
        (r"\s+(?=[)\]},;])|(?<=[(\[{])\s+", ""),
    ]
]  # fmt: skip
_DISPLAYS = re.compile(
    r"\\begin\{((?:align|aligned|equation|gather|gathered|split|multline)\*?)\}(.*?)\\end\{\1\}"
)
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z])")
LONGEST = 2000
_SPACES = re.compile(r"\s+")
_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_SPACED_NUMBER = re.compile(r"-?\d{1,3}(?: \d{3})+(?:\.\d+)?")


def plain_characters(text: str) -> str:
    """Spell Unicode mathematics in ASCII LaTeX and drop invisible characters (marks, NULs)."""
    if text.isascii():
        return text if text.isprintable() else _without_controls(text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: f"^{{{m[0].translate(_SUPERSCRIPTS)}}}", text)
    text = re.sub("[₀-₉]+", lambda m: f"_{{{m[0].translate(_SUBSCRIPTS)}}}", text)
    text = text.translate(_SYMBOL_TABLE)
    return _without_controls("".join(_plain(char) for char in text))


def _plain(char: str) -> str:
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    return " " if unicodedata.category(char) == "Zs" else char


def _without_controls(text: str) -> str:
    return "".join(
        " " if char in "\n\t\r" else char
        for char in text
        if char in "\n\t\r" or unicodedata.category(char) not in ("Cc", "Cf", "Cs")
    )


@lru_cache(maxsize=65536)
def normalise(answer: str) -> str:
    """The canonical spelling of an answer; equal spellings are equal answers.

    Removes math delimiters, sizes, spacing commands, invisible characters, currency signs and
    thousands separators, and gives synonyms (dfrac, leq, mathrm, ...) one name. An answer longer
    than LONGEST characters is never compared; only its white space is tidied.
    """
    if len(answer) > LONGEST:
        return " ".join(answer.split())
    text = plain_characters(answer.strip())
    if "\\" in text and "matrix" not in text and "array" not in text:
        text = _DOUBLED.sub(r"\\", text)
    text = text.replace(r"\$", "").replace("$", "").replace("**", "^")
    text = text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    if "\\begin" in text:
        text = _DISPLAYS.sub(lambda match: match[2].replace("&", ""), text)
    if "\\" in text:
        for opening in (r"\(", r"\)", r"\[", r"\]"):
            # "\\[" ends a matrix row, it does not open display mathematics.
            text = re.sub(rf"(?<!\\){re.escape(opening)}", "", text)
    if not text.isalnum():
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
    text = _balanced(_SPACES.sub(" ", text).lstrip(" ,;:").rstrip(" .,;:"))
    if _SPACED_NUMBER.fullmatch(text):
        return text.replace(" ", "")
    return _join_thousands(text) if "," in text else text


def _balanced(text: str) -> str:
    """Drop what a cut-off solution leaves: an extra brace, a line break."""
    text = text.lstrip("} ")
    while text.endswith("}") and text.count("{") < text.count("}"):
        text = text[:-1].rstrip(" .,;:")
    text = re.sub(r"(?:\\\\\s*)*\\text$", "", text)
    while text.endswith("\\\\") and not text.endswith("\\end"):
        text = text[:-2].rstrip(" .,;:")
    return text


def _join_thousands(text: str) -> str:
    """Join 1,234 to 1234 outside brackets; (1,234) is a pair."""
    out, last = [], 0
    for match in _THOUSANDS.finditer(text):
        before = text[: match.start()]
        if sum(before.count(c) for c in "([") > sum(before.count(c) for c in ")]"):
            continue
        if before.count(r"\{") > before.count(r"\}"):
            continue
        out += [text[last : match.start()], match[0].replace(",", "")]
        last = match.end()
    return "".join(out) + text[last:]
