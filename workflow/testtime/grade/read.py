"""Read a normalised answer: numbers, expressions, tuples, sets, intervals, relations, words.

What this reader does not know it refuses (None), and math-verify reads it in a child process.
"""

import re
from functools import lru_cache

from testtime.grade import relations
from testtime.grade.expressions import Reader
from testtime.grade.scalars import constant, infinity, scalars_of
from testtime.grade.tokens import Token, UnreadableError, tokenise
from testtime.grade.values import Value, collection, interval, sequence, text_value

_OPEN = {"(": 1, "[": 1, "{": 1, "\\{": 1, "\\langle": 1, "\\lfloor": 1, "\\lceil": 1}
_CLOSE = {")": 1, "]": 1, "}": 1, "\\}": 1, "\\rangle": 1, "\\rfloor": 1, "\\rceil": 1}
_SEPARATORS = frozenset({",", ";", "and"})
_MATRICES = frozenset({"matrix", "pmatrix", "bmatrix", "array", "Bmatrix"})
_DEEPEST = 8
_CLOCK = re.compile(r"\d{1,2}:0\d")  # 1:00 is a time of day, no ratio


@lru_cache(maxsize=65536)
def read(text: str, ordered: bool = False) -> Value | None:
    """The value of a normalised answer, or None where the reader does not know the notation.

    Args:
        text: as `normalise` gives it.
        ordered: whether a list without brackets keeps its order.
    """
    if _CLOCK.fullmatch(text):
        return text_value(text.replace(":", "h"))
    try:
        return read_list(tokenise(text), ordered, 0)
    except (UnreadableError, ArithmeticError, ValueError, RecursionError):
        return None


def split(tokens: list[Token], separators: frozenset[str]) -> list[list[Token]]:
    """Cut at separators outside brackets; nothing between two separators is no part."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        mark = token.text if token.kind == "cmd" else token.kind
        if mark in ("\\begin", "\\end"):
            depth += 1 if mark == "\\begin" else -1
        depth += _OPEN.get(mark, 0) - _CLOSE.get(mark, 0)
        if depth == 0 and mark in separators:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def read_list(tokens: list[Token], ordered: bool, depth: int) -> Value:
    """Items between commas, semicolons, "and" or "or"; one item stands for itself."""
    if depth > _DEEPEST or not tokens:
        raise UnreadableError("nested too deeply" if tokens else "nothing there")
    groups = split(tokens, frozenset({";", "and"}))
    if len(groups) > 1:
        rows = [split(group, frozenset({","})) for group in groups]
        same_length = len(rows[0]) > 1 and all(len(row) == len(rows[0]) for row in rows)
        if same_length and all(_has_sign(part) for row in rows for part in row):
            # "p=5, q=2 or p=7, q=2": each alternative is a tuple of its own.
            tuples = [sequence("tuple", _items(row, ordered, depth), True) for row in rows]
            return sequence("list", tuples, ordered=False)
    items = _items(split(tokens, _SEPARATORS), ordered, depth)
    if not ordered:
        items = list({item.key: item for item in items}.values())  # given twice, it counts once
    return sequence("list", items, ordered)


def _has_sign(tokens: list[Token]) -> bool:
    return any(token.kind == "=" for token in tokens)


def _items(parts: list[list[Token]], ordered: bool, depth: int) -> list[Value]:
    values: list[Value] = []
    for part in parts:
        values += read_item(part, ordered, depth + 1)
    if not values:
        raise UnreadableError("nothing there")
    return values


def read_item(tokens: list[Token], ordered: bool, depth: int) -> list[Value]:
    """One item; two where a ± stands for both."""
    tokens = _without_units(tokens)
    if all(token.kind == "word" for token in tokens):
        return [text_value(" ".join(token.text for token in tokens))]
    unions = split(tokens, frozenset({"\\cup"}))
    if len(unions) > 1 and not any(relations.is_relation(token) for token in tokens):
        return [collection("union", _items(unions, ordered, depth))]
    found = relations.read_relation(
        tokens, lambda part: read_item(part, ordered, depth + 1), read_chain_sides
    )
    return found if found is not None else _read_plain(tokens, ordered, depth)


def read_chain_sides(tokens: list[Token]) -> list[tuple[str, list[Token]]]:
    """Cut a relation chain outside brackets: (relation before it, side), the first with ""."""
    sides: list[tuple[str, list[Token]]] = [("", [])]
    depth = 0
    for token in tokens:
        mark = token.text if token.kind == "cmd" else token.kind
        depth += _OPEN.get(mark, 0) - _CLOSE.get(mark, 0)
        if depth == 0 and relations.is_relation(token):
            sides.append((mark, []))
        else:
            sides[-1][1].append(token)
    return sides


def _read_plain(  # noqa: PLR0911
    tokens: list[Token], ordered: bool, depth: int
) -> list[Value]:
    """An item without a relation sign: brackets, a matrix, words or an expression."""
    first, last = tokens[0], tokens[-1]
    if first.kind == "-" and _is_tuple(tokens[1:]):
        parts = split(tokens[2:-1], _SEPARATORS)
        return [_negated(_bracketed(parts, tokens[1].text, last.text, ordered, depth))]
    if first.kind in ("(", "[") and len(tokens) > 2 and tokens[1].text == "\\begin":
        tokens = tokens[1:-1]
        first = tokens[0]
    if first.text == "\\begin":
        return [_matrix(tokens, ordered, depth)]
    if [t.text for t in tokens] in (["\\emptyset"], ["\\varnothing"]):
        return [collection("set", [])]
    if [t.text for t in tokens] == ["\\mathbb", "{", "R", "}"]:
        return [interval(infinity(-1), infinity(1), True, True)]
    if first.text in ("(", "[", "\\{", "{", "\\langle") and _encloses(tokens):
        inner = tokens[1:-1]
        parts = split(inner, _SEPARATORS)
        if first.text == "\\{":
            items = _items(parts, ordered, depth) if parts else []
            return [collection("set", items)]
        if len(parts) > 1 and first.text == "{":
            return [read_list(inner, ordered, depth + 1)]
        if len(parts) > 1 or any(relations.is_relation(token) for token in inner):
            return [_bracketed(parts, first.text, last.text, ordered, depth)]
        if first.text == "(" and all(token.kind == "word" for token in inner):
            return read_item(inner, ordered, depth + 1)
    return scalars_of(Reader(tokens).whole())


def _is_tuple(tokens: list[Token]) -> bool:
    if len(tokens) < 4 or tokens[0].kind not in ("(", "[") or not _encloses(tokens):
        return False
    return len(split(tokens[1:-1], _SEPARATORS)) > 1


def _negated(value: Value) -> Value:
    """Minus a vector, or minus all of an interval."""
    if any(item.number is None for item in value.items):
        raise UnreadableError("minus something that is no vector of numbers")
    items = [constant(-item.number) for item in value.items]
    if value.kind == "interval":
        _, left_open, right_open, *_ = value.key
        return interval(items[1], items[0], right_open, left_open)
    return sequence("tuple", items, ordered=True)


def _bracketed(
    parts: list[list[Token]], opening: str, closing: str, ordered: bool, depth: int
) -> Value:
    items = _items(parts, ordered, depth)
    if len(items) == 2 and (opening == "[" or closing == "]"):
        return interval(items[0], items[1], opening == "(", closing == ")")
    if (opening == "[" and closing == "]") or opening in ("(", "\\langle"):
        return sequence("tuple", items, ordered=True)
    raise UnreadableError("brackets that do not match")


def _encloses(tokens: list[Token]) -> bool:
    """Whether the first bracket closes with the last token."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += _OPEN.get(token.text, 0) - _CLOSE.get(token.text, 0)
        if depth == 0:
            return at == len(tokens) - 1
    return False


def _without_units(tokens: list[Token]) -> list[Token]:
    r"""Drop words behind a value, with their exponent: 5 \text{ cm}^2 is 5."""
    end = len(tokens)
    while end:
        cut = end
        if tokens[cut - 1].kind == "}" and cut > 3 and tokens[cut - 4].kind == "^":
            cut -= 4
        elif tokens[cut - 1].kind == "num" and cut > 1 and tokens[cut - 2].kind == "^":
            cut -= 2
        if cut < 2 or tokens[cut - 1].kind != "word":
            break
        end = cut - 1
    kept = tokens[:end]
    return kept if any(token.kind != "word" for token in kept) else tokens


def _matrix(tokens: list[Token], ordered: bool, depth: int) -> Value:
    r"""A matrix alone: \begin{pmatrix} a & b \\ c & d \end{pmatrix}."""
    kinds = [token.kind for token in tokens]
    start = kinds.index("}")
    name = "".join(token.text for token in tokens[2:start])
    if name == "array" and kinds[start + 1 : start + 2] == ["{"]:
        start = kinds.index("}", start + 1)
    if name not in _MATRICES or tokens[-4].text != "\\end":
        raise UnreadableError("an environment that is no matrix alone")
    body = tokens[start + 1 : -4]
    rows = [split(row, frozenset({"&"})) for row in split(body, frozenset({"\\\\"}))]
    if not rows or len({len(row) for row in rows}) > 1:
        raise UnreadableError("a matrix with ragged rows")
    entries = [_items([entry], ordered, depth) for row in rows for entry in row]
    if any(len(entry) > 1 for entry in entries):
        raise UnreadableError("a matrix of alternatives")
    flat = [entry[0] for entry in entries]
    if len(rows[0]) == 1:
        return sequence("tuple", flat, ordered=True)  # a column is the same vector as (a, b, c)
    key = ("matrix", len(rows), len(rows[0]), *(entry.key for entry in flat))
    return Value("matrix", key, tuple(flat), certain=all(entry.certain for entry in flat))
