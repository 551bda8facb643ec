"""Find an answer in prose: behind "the answer is", or at the end of an unmarked solution."""

import re

_SPOKEN = 4  # words of an answer such as "no real solutions exist"
TAIL = 4000  # characters at the end of a solution in which phrases are looked for
BARE = 200  # a text of at most so many characters on one line may be an answer by itself
_PHRASE = re.compile(
    r"(?:final answer|\banswer|réponse|respuesta|antwort|答案)"
    r"(?:\s*(?:is|are|est|:|：|=|\*\*))+\s*"
    r"|(?:final answer|the answer)[^.\n]{0,100}?\s(?:is|are)\s*:?\s+",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<!\d)\.(?!\d)(?:\s|$|<)|\.\s+[A-Z]|\.\s*$|\.\}|\n|I hope it is|<\|")
_MATH = re.compile(
    r"\$\$(.{1,400}?)\$\$|\\\[(.{1,400}?)\\\]|(?<![\\\d])\$((?:\\.|[^$\\\n]){1,300})\$|\\\((.{1,300}?)\\\)",
    re.DOTALL,
)
_NUMBER = re.compile(
    r"-?(?:\d+\s*)?\\[dt]?frac\{-?[\d.]+\}\{[\d.]+\}"
    r"|(?<![A-Za-z0-9_.,/])-?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?(?:\s*/\s*\d+)?|\.\d+)"
    r"(?:\s*(?:\\?%|percent\b|pct\b))?"
)
_LOOSE_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*(?:/\d+)?\s*%?")
_MATHS_WORDS = re.compile(
    r"\\(?:begin|end|text|mbox|mathrm|textbf|operatorname)\s*\{[^{}]*\}|\\[a-zA-Z]+|\b(?:and|or)\b"
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_OPENING = re.compile(r"""^(?:[\s*"“”]|\\")+""")
_REMARKS = frozenset({"correct", "incorrect", "right", "wrong", "not", "given", "given by"})
_SIGNS = re.compile(r"[≤≥≠±∪∩∈×÷√π∞°²³⁴]")
_FINISHED = re.compile(r"(?:[.!?)\]}$%*\d]|[^\x00-\x7f])$")
_ROLE = re.compile(r"<\|[^|>\s]{1,20}\|>\w*\s*$")  # what a chat template leaves at the end
_LISTED = re.compile(r"\s*(?:,|;|and|or|, and|, or)\s*")
_LABEL = re.compile(r"[^\d\\$:]{2,40}:\s+")


def after_phrase(text: str, start: int) -> str | None:
    """What the last "answer is" behind `start` gives, up to the end of its sentence."""
    boxed = start > 0
    start = max(start, len(text) - TAIL)
    tail = text[start:]
    if tail.isascii() and "nswer" not in tail and "NSWER" not in tail:
        return None
    for match in reversed(list(_PHRASE.finditer(text, start))):
        rest = _OPENING.sub("", text[match.end() : match.end() + 600])
        stop = None if _MATH.match(rest) else _SENTENCE_END.search(rest)
        found = from_sentence(rest[: stop.start()] if stop else rest)
        # Behind a box, "the answer is correct" is a remark.
        if not found or found in _REMARKS or "boxed" in found:
            continue
        if not boxed or re.search(r"\d|\\", found):
            return found
    return None


def from_sentence(sentence: str) -> str | None:
    """The formulas at the start of a sentence, a short answer in words, or its number."""
    sentence = sentence.replace('\\"', "").strip(' \n*"“”')
    formulas = _formulas(sentence)
    if formulas and not _words(sentence[: formulas[0].start()]):
        chosen = [formulas[0]]
        for formula in formulas[1:]:
            if not _LISTED.fullmatch(sentence[chosen[-1].end() : formula.start()]):
                break
            chosen.append(formula)
        return ", ".join(_inside(formula) for formula in chosen)
    clean = sentence.rstrip(" .*。")
    if not clean:
        return None
    short = len(_words(clean)) <= 3 and len(clean) <= BARE and "$" not in clean
    if short and not (_WORD.match(clean) and re.search(r"\d", clean)):
        return clean
    numbers = _NUMBER.findall(_behind_is(clean)) or _LOOSE_NUMBER.findall(clean)
    if numbers:
        return numbers[0].strip()
    return _inside(formulas[-1]) if formulas else None


def _behind_is(sentence: str) -> str:
    match = re.search(r".*\b(?:is|are|equals)\b(?=.*\d)", sentence)
    return sentence[match.end() :] if match else sentence


def _formulas(text: str) -> list[re.Match]:
    """Delimited mathematics; a pair of dollar signs around prose is about money."""
    return [match for match in _MATH.finditer(text) if len(_words(_inside(match))) < 2]


def _inside(formula: re.Match) -> str:
    return next(group for group in formula.groups() if group is not None).strip()


def _words(text: str) -> list[str]:
    return _WORD.findall(_MATHS_WORDS.sub("", text))


def without_marker(text: str) -> str | None:
    """An unmarked answer: the whole of a short text, else the last formula or number."""
    bare = text.strip()
    if not bare:
        return None
    spoken = bool(re.search(r"[^\W\d_]", bare)) and not bare.isascii()
    if " " not in bare and "\n" not in bare and "$" not in bare and not _words(bare):
        return bare  # one formula, or noise that the grader will refuse
    tail = bare[-TAIL:]
    formulas = _formulas(tail)
    one_line = len(bare) <= BARE and "\n" not in bare
    if one_line and not formulas:
        unlabelled = _LABEL.sub("", bare)
        named = _WORD.match(unlabelled) and re.search(r"\s\d", unlabelled)
        prose = spoken and re.search(r"\d", bare) and not _SIGNS.search(bare)
        if len(_words(unlabelled)) <= 2 and not named and not prose and "$" not in unlabelled[1:-1]:
            return unlabelled
    if not one_line:
        tail = _conclusion(tail)
        formulas = _formulas(tail)
    numbers = list(_NUMBER.finditer(tail)) or list(_LOOSE_NUMBER.finditer(tail))
    if formulas and (one_line or not numbers or numbers[-1].start() < formulas[-1].end()):
        return _last_formulas(tail, formulas)
    if numbers:
        return numbers[-1][0].strip()
    return bare if one_line and len(_words(bare)) <= _SPOKEN else None


def _conclusion(tail: str) -> str:
    """The last paragraph, or nothing where the solution breaks off before its end."""
    tail = _ROLE.sub("", tail).rstrip()
    last = tail.rpartition("\n\n")[2]
    heading = last.rpartition("\n")[2].lstrip().startswith("#")
    opened = last.count("\\begin{") > last.count("\\end{") or tail.count("\\[") > tail.count("\\]")
    if heading or opened or last.count("$") % 2 or not _FINISHED.search(last):
        return ""
    return last


def _last_formulas(text: str, formulas: list[re.Match]) -> str:
    """The last formula, with those that it is listed with."""
    chosen = [formulas[-1]]
    for formula in reversed(formulas[:-1]):
        if not _LISTED.fullmatch(text[formula.end() : chosen[0].start()]):
            break
        chosen.insert(0, formula)
    return ", ".join(_inside(formula) for formula in chosen)
