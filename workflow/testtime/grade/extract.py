r"""Find the final answer in a solution: the last box, what follows "the answer is", or the end."""

import re

from testtime.study.conventions import convention_named

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)|(?<![\\a-zA-Z])boxed(?=\{)")
_JOINS = re.compile(r"(?:\band|\bor|,|;)[^a-zA-Z]*(?:[a-zA-Z](?:_\{?\w{1,3}\}?)?\s*=\s*)?$")
_PERCENT_AFTER = re.compile(r"\s*(?:\$|\\\)|\\\])?\s*(?:\\?%|percent|pct)")


_BRACE = re.compile(r"\\[{}]|[{}]")


def extract_answer(text: str, convention: str = "math") -> str | None:
    r"""The final answer that a solution gives, as it is written there; None if there is none.

    Takes whichever comes last: a \boxed{...} (boxes joined by "and" or commas are one answer) or
    "the (final) answer is ...". Without either, a short text is itself the answer, and in a longer
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
        return bare if bare and len(bare) <= BARE and len(bare.split()) == 1 else None
    choice = _CHOICES.search(text, max(0, len(text) - TAIL)) if "\nB: " in text else None
    if choice:
        contents = [choice[1], *re.findall(r"\n[B-E]: ?(.+)", choice[2])]
        content = contents[min("ABCDE".index(choice[3]), len(contents) - 1)]
        return _last_boxes(content)[0] or _from_sentence(content)
    box, end = _last_boxes(text)
    found = _after_phrase(text, end) or (_without_marker(text) if box is None else box)
    return found if found and _CONTENT.search(found) else None


_CONTENT = re.compile(r"\w|[∞∅]|\\\{")  # "..." is no answer; \{\} is the empty set

# Choices that the solution itself made up; the letter alone is meaningless.
_CHOICES = re.compile(
    r"(?:^|\n)(?:A:)? ?([^\n]+)((?:\n[B-E]: ?[^\n]+)+)\n+"
    r"[^\n]{0,40}answer is \(?([A-E])\)?\.?\s*$"
)


def _group(text: str, at: int) -> tuple[str, int, bool]:
    """Contents of the braces that open at `at`, where they close, and whether they do."""
    depth = 0
    for match in _BRACE.finditer(text, at):
        char = match[0]
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return text[at + 1 : match.start()], match.end(), True
    return text[at + 1 :], len(text), False


_OPTION = re.compile(r"\n\(?[A-E][:.)] ?\$?$")


def _last_boxes(text: str) -> tuple[str | None, int]:
    """The last box, with those joined to it; and where it ends."""
    if "boxed" not in text and "fbox" not in text:
        return None, 0
    found = list(_BOX.finditer(text, max(0, len(text) - 20 * TAIL)))[-8:]
    if not found:
        return None, 0
    options = [m for m in found if _OPTION.search(text[max(0, m.start() - 6) : m.start()])]
    if len(options) > 1:  # a list of choices, none of them chosen; a later box may be the answer
        found = [match for match in found if match.start() > options[-1].start()]
    if not found:
        return None, 0
    boxes = [(match.start(), *_group(text, match.end())) for match in found]
    whole = [box[:3] for box in boxes if box[1].strip() and box[3]]
    whole = [box for i, box in enumerate(whole) if i == 0 or box[0] >= whole[i - 1][2]]
    boxes = whole or [boxes[-1][:3]]  # a box that was cut off is less reliable than one before it
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


def has_box(text: str) -> bool:
    r"""Whether a text has a complete \boxed{...}: closed, and not blank."""
    if "boxed" not in text and "fbox" not in text:
        return False
    groups = (_group(text, match.end()) for match in _BOX.finditer(text))
    return any(closed and content.strip() for content, _, closed in groups)


def _joined(between: str) -> bool:
    """Whether the text between two boxes joins them into one answer."""
    if len(between) > 60 or "\n\n" in between.strip(" "):
        return False
    between = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", between)
    between = re.sub(r"\\q?quad|\\[()\[\],; ]|\$", " ", between)
    if not re.search(r"[a-zA-Z]", between):
        return "=" not in between  # "box = box" is a calculation
    return bool(_JOINS.search(between.rstrip()))


# --- prose: after "the answer is", or at the end of an unmarked solution -----------------------

_SPOKEN = 4  # words of an answer such as "no real solutions exist"
TAIL = 4000  # characters at the end of a solution that are searched for phrases
BARE = 200  # a one-line text of at most this many characters may itself be an answer
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


def _after_phrase(text: str, start: int) -> str | None:
    """What follows the last "answer is" after `start`, up to the end of its sentence."""
    boxed = start > 0
    start = max(start, len(text) - TAIL)
    tail = text[start:]
    if tail.isascii() and "nswer" not in tail and "NSWER" not in tail:
        return None
    for match in reversed(list(_PHRASE.finditer(text, start))):
        rest = _OPENING.sub("", text[match.end() : match.end() + 600])
        stop = None if _MATH.match(rest) else _SENTENCE_END.search(rest)
        found = _from_sentence(rest[: stop.start()] if stop else rest)
        # After a box, "the answer is correct" is a remark.
        if not found or found in _REMARKS or "boxed" in found:
            continue
        if not boxed or re.search(r"\d|\\", found):
            return found
    return None


def _from_sentence(sentence: str) -> str | None:
    """The formulas at the start of a sentence, a short answer in words, or its number."""
    sentence = sentence.replace('\\"', "").strip(' \n*"“”')
    formulas = _formulas(sentence)
    if formulas and not prose_words(sentence[: formulas[0].start()]):
        chosen = [formulas[0]]
        for formula in formulas[1:]:
            if not _LISTED.fullmatch(sentence[chosen[-1].end() : formula.start()]):
                break
            chosen.append(formula)
        return ", ".join(_inside(formula) for formula in chosen)
    clean = sentence.rstrip(" .*。")
    if not clean:
        return None
    short = len(prose_words(clean)) <= 3 and len(clean) <= BARE and "$" not in clean
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
    return [match for match in _MATH.finditer(text) if len(prose_words(_inside(match))) < 2]


def _inside(formula: re.Match) -> str:
    return next(group for group in formula.groups() if group is not None).strip()


def prose_words(text: str) -> list[str]:
    """Words of two letters or more outside commands and their arguments."""
    return _WORD.findall(_MATHS_WORDS.sub("", text))


def _without_marker(text: str) -> str | None:
    """An unmarked answer: all of a short text, else the last formula or number."""
    bare = text.strip()
    if not bare:
        return None
    spoken = bool(re.search(r"[^\W\d_]", bare)) and not bare.isascii()
    if " " not in bare and "\n" not in bare and "$" not in bare and not prose_words(bare):
        return bare  # one formula, or noise that the grader will refuse
    tail = bare[-TAIL:]
    formulas = _formulas(tail)
    one_line = len(bare) <= BARE and "\n" not in bare
    if one_line and not formulas:
        unlabelled = _LABEL.sub("", bare)
        named = _WORD.match(unlabelled) and re.search(r"\s\d", unlabelled)
        prose = spoken and re.search(r"\d", bare) and not _SIGNS.search(bare)
        if (
            len(prose_words(unlabelled)) <= 2
            and not named
            and not prose
            and "$" not in unlabelled[1:-1]
        ):
            return unlabelled
    if not one_line:
        tail = _conclusion(tail)
        formulas = _formulas(tail)
    numbers = list(_NUMBER.finditer(tail)) or list(_LOOSE_NUMBER.finditer(tail))
    if formulas and (one_line or not numbers or numbers[-1].start() < formulas[-1].end()):
        return _last_formulas(tail, formulas)
    if numbers:
        return numbers[-1][0].strip()
    return bare if one_line and len(prose_words(bare)) <= _SPOKEN else None


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
    """The last formula, with the others in its list."""
    chosen = [formulas[-1]]
    for formula in reversed(formulas[:-1]):
        if not _LISTED.fullmatch(text[formula.end() : chosen[0].start()]):
            break
        chosen.insert(0, formula)
    return ", ".join(_inside(formula) for formula in chosen)
