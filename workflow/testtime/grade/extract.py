r"""Find the final answer in a solution: the last box, what follows "the answer is", or the end."""

import re

from testtime.grade.conventions import convention_named
from testtime.grade.phrases import BARE, TAIL, after_phrase, from_sentence, without_marker

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)|(?<![\\a-zA-Z])boxed(?=\{)")
_JOINS = re.compile(r"(?:\band|\bor|,|;)[^a-zA-Z]*(?:[a-zA-Z](?:_\{?\w{1,3}\}?)?\s*=\s*)?$")
_PERCENT_AFTER = re.compile(r"\s*(?:\$|\\\)|\\\])?\s*(?:\\?%|percent|pct)")


_BRACE = re.compile(r"\\[{}]|[{}]")


def extract_answer(text: str, convention: str = "math") -> str | None:
    r"""The final answer that a solution gives, as it is written there; None if there is none.

    Takes whichever comes last: a \boxed{...} (boxes joined by "and" or commas are one answer) or
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
        return bare if bare and len(bare) <= BARE and len(bare.split()) == 1 else None
    choice = _CHOICES.search(text, max(0, len(text) - TAIL)) if "\nB: " in text else None
    if choice:
        contents = [choice[1], *re.findall(r"\n[B-E]: ?(.+)", choice[2])]
        content = contents[min("ABCDE".index(choice[3]), len(contents) - 1)]
        return _last_boxes(content)[0] or from_sentence(content)
    box, end = _last_boxes(text)
    found = after_phrase(text, end) or (without_marker(text) if box is None else box)
    return found if found and _CONTENT.search(found) else None


_CONTENT = re.compile(r"\w|[∞∅]|\\\{")  # "..." is no answer; \{\} is the empty set

# Choices that the solution itself made up; the letter alone would mean nothing.
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
    boxes = whole or [boxes[-1][:3]]  # a box that was cut off says less than one before it
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
    if not re.search(r"[a-zA-Z]", between):
        return "=" not in between  # "box = box" is a calculation
    return bool(_JOINS.search(between.rstrip()))
