r"""Find the final answer in a solution: the last box, what follows "the answer is", or the end."""

import re

from testtime.grade.conventions import convention_named

_TAIL = 4000  # characters at the end of a solution in which phrases are looked for
_BARE = 200  # a text of at most so many characters on one line may be an answer by itself
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)|(?<![\\a-zA-Z])boxed(?=\{)")
_JOINS = re.compile(r"(?:\band|\bor|,|;)[^a-zA-Z]*(?:[a-zA-Z](?:_\{?\w{1,3}\}?)?\s*=\s*)?$")
_PERCENT_AFTER = re.compile(r"\s*(?:\$|\\\)|\\\])?\s*(?:\\?%|percent|pct)")
_PHRASE = re.compile(
    r"(?:final answer|\banswer|réponse|respuesta|antwort|答案)"
    r"(?:\s*(?:is|are|est|:|：|=|\*\*))+\s*"
    r"|(?:final answer|the answer)[^.\n]{0,100}?\s(?:is|are)\s*:?\s+",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<!\d)\.(?!\d)(?:\s|$|<)|\.\s+[A-Z]|\.\s*$|\n|I hope it is|<\|")
_MATH = re.compile(
    r"\$\$(.{1,400}?)\$\$|\\\[(.{1,400}?)\\\]|(?<![\\\d])\$((?:\\.|[^$\\\n]){1,300})\$|\\\((.{1,300}?)\\\)",
    re.DOTALL,
)
_NUMBER = re.compile(
    r"-?\\[dt]?frac\{-?[\d.]+\}\{[\d.]+\}"
    r"|(?<![A-Za-z0-9_.,/])-?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?(?:\s*/\s*\d+)?|\.\d+)"
    r"(?:\s*(?:\\?%|percent\b|pct\b))?"
)
_LOOSE_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*(?:/\d+)?\s*%?")
_MATHS_WORDS = re.compile(
    r"\\(?:begin|end|text|mbox|mathrm|textbf|operatorname)\s*\{[^{}]*\}|\\[a-zA-Z]+|\b(?:and|or)\b"
)
_WORD = re.compile(r"[^\W\d_]{2,}")


def extract_answer(text: str, convention: str = "math") -> str | None:
    """The final answer that a solution gives, as it is written there; None if there is none.

    Takes whichever comes last: a \\boxed{...} (boxes joined by "and" or commas are one answer) or
    "the (final) answer is ...". Without either, a short text is an answer itself, and of a longer
    one the last formula or number counts, as graders of these benchmarks commonly do. Under the
    "exact" convention only a box counts, or a text without white space.

    Args:
        text: a full solution or a bare answer.
        convention: see `convention_named`.
    """
    if convention_named(convention).name == "exact":
        at = text.rfind("\\boxed{")
        if at >= 0:
            return _group(text, at + 6)[0].strip() or None
        bare = text.strip()
        return bare if bare and len(bare) <= _BARE and len(bare.split()) == 1 else None
    box, end = _last_boxes(text)
    phrase = _after_phrase(text, end)
    if phrase:
        return phrase
    if box is not None:
        return box or None
    return _without_marker(text)


def _group(text: str, at: int) -> tuple[str, int]:
    """Contents of the braces that open at `at`, and where they close (the end, if never)."""
    depth = 0
    for match in _BRACE.finditer(text, at):
        char = match[0]
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return text[at + 1 : match.start()], match.end()
    return text[at + 1 :], len(text)


_BRACE = re.compile(r"\\[{}]|[{}]")


def _last_boxes(text: str) -> tuple[str | None, int]:
    """The last box, with those joined to it; and where it ends."""
    if "boxed" not in text and "fbox" not in text:
        return None, 0
    found = list(_BOX.finditer(text, max(0, len(text) - 20 * _TAIL)))[-8:]
    if not found:
        return None, 0
    boxes = [(match.start(), *_group(text, match.end())) for match in found]
    boxes = [box for i, box in enumerate(boxes) if i == 0 or box[0] >= boxes[i - 1][2]]
    chosen = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        if not _joined(text[box[2] : chosen[0][0]]):
            break
        chosen.insert(0, box)
    contents = list(dict.fromkeys(content.strip() for _, content, _ in chosen))
    end = chosen[-1][2]
    answer = ", ".join(contents)
    if answer and _PERCENT_AFTER.match(text, end, end + 20) and "%" not in answer:
        answer += "\\%"
    return answer, end


def _joined(between: str) -> bool:
    """Whether what stands between two boxes makes them one answer."""
    if len(between) > 60 or "\n\n" in between.strip(" "):
        return False
    between = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", between)
    between = re.sub(r"\\q?quad|\\[()\[\],; ]|\$", " ", between)
    return not re.search(r"[a-zA-Z]", between) or bool(_JOINS.search(between.rstrip()))


def _after_phrase(text: str, start: int) -> str | None:
    """What the last "answer is" behind `start` gives, up to the end of its sentence."""
    boxed = start > 0
    start = max(start, len(text) - _TAIL)
    for match in reversed(list(_PHRASE.finditer(text, start))):
        rest = text[match.end() : match.end() + 600].lstrip(' *"“”\\\n')
        rest = text[match.end() : match.end() + 600] if rest[:1] in "([" else rest
        stop = None if _MATH.match(rest) else _SENTENCE_END.search(rest)
        found = _from_sentence(rest[: stop.start()] if stop else rest)
        # Behind a box, "the answer is correct" is a remark.
        if found and found not in _REMARKS and (not boxed or re.search(r"\d|\\", found)):
            return found
    return None


_REMARKS = frozenset({"correct", "incorrect", "right", "wrong", "not", "given", "given by"})


def _from_sentence(sentence: str) -> str | None:
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
    short = len(_words(clean)) <= 3 and len(clean) <= _BARE and "$" not in clean
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


def _without_marker(text: str) -> str | None:
    """An unmarked answer: the whole of a short text, else the last formula or number."""
    bare = text.strip()
    if not bare:
        return None
    spoken = bool(re.search(r"[^\W\d_]", bare)) and not bare.isascii()
    if " " not in bare and "\n" not in bare and "$" not in bare and not _words(bare):
        return bare  # one formula, or noise that the grader will refuse
    tail = bare[-_TAIL:]
    formulas = _formulas(tail)
    one_line = len(bare) <= _BARE and "\n" not in bare
    if one_line and not formulas:
        unlabelled = _LABEL.sub("", bare)
        named = _WORD.match(unlabelled) and re.search(r"\s\d", unlabelled)
        prose = spoken and re.search(r"\d", bare) and not _SIGNS.search(bare)
        if len(_words(unlabelled)) <= 2 and not named and not prose and "$" not in unlabelled[1:-1]:
            return unlabelled
    numbers = list(_NUMBER.finditer(tail)) or list(_LOOSE_NUMBER.finditer(tail))
    if formulas and (one_line or not numbers or numbers[-1].start() < formulas[-1].end()):
        return _last_formulas(tail, formulas)
    if numbers:
        return numbers[-1][0].strip()
    return bare if one_line else None


def _last_formulas(text: str, formulas: list[re.Match]) -> str:
    """The last formula, with those that it is listed with."""
    chosen = [formulas[-1]]
    for formula in reversed(formulas[:-1]):
        if not _LISTED.fullmatch(text[formula.end() : chosen[0].start()]):
            break
        chosen.insert(0, formula)
    return ", ".join(_inside(formula) for formula in chosen)


_SIGNS = re.compile(r"[≤≥≠±∪∩∈×÷√π∞°²³⁴]")
_LISTED = re.compile(r"\s*(?:,|;|and|or|, and|, or)\s*")
_LABEL = re.compile(r"[^\d\\$:]{2,40}:\s+")
