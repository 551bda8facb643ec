"""What a PRM has to read: texts as rows, their common beginnings as rows of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from testtime.engines.transformers.kv_pool import NO_SLOTS

# A common beginning is read on its own if that spares so many tokens. Continuing a text costs about
# a third of reading its beginning again (measured on small models; less on large ones).
WORTH = 40
CONTINUING = 0.35


@dataclass(eq=False)
class Row:
    """Tokens to be read behind a beginning that was read before.

    Attributes:
        token_ids: from the text's start.
        wanted: positions of the scores asked for, all at or behind `begin`.
        keep: lengths at which the row may be continued; empty if nothing need be kept.
        prefix: slots of what was read before, in the engine's pool.
        common: whether it is a common beginning of others, and not one of the given texts.
        slots: of all tokens of a common beginning, once read and if there was room.
        begin: number of tokens that are not read here.
        parent: row that reads the tokens before `begin`, if one does.
        scores: position -> score, once read.
    """

    token_ids: list[int]
    wanted: list[int]
    keep: list[int]
    prefix: np.ndarray = field(default_factory=lambda: NO_SLOTS)
    slots: np.ndarray | None = None
    common: bool = False
    begin: int = 0
    parent: "Row | None" = None
    scores: dict[int, float] = field(default_factory=dict)

    @property
    def new(self) -> int:
        """Number of tokens to be read."""
        return len(self.token_ids) - len(self.prefix)

    def score_at(self, position: int) -> float:
        """The score at a position, wherever it was read."""
        row = self
        while position < row.begin and row.parent is not None:
            row = row.parent
        return row.scores[position]


def share(rows: Sequence[Row]) -> list[list[Row]]:
    """Read what texts have in common once: a tree of rows over the given ones.

    Args:
        rows: texts, each with what of it was read before as `prefix`.

    Returns:
        Levels: every row's parent is in an earlier one. The given rows are all in it, and
        afterwards begin where their parent ends, with only the rest of their `wanted`.
    """
    levels: list[list[Row]] = []
    order = sorted(rows, key=lambda row: (len(row.prefix), row.token_ids))
    todo: list[tuple[int, int, int, Row | None, int]] = [
        (lo, hi, 0, None, len(order[lo].prefix)) for lo, hi in _same_prefix(order)
    ]
    while todo:
        lo, hi, level, parent, begin = todo.pop()
        if len(levels) <= level:
            levels.append([])
        if hi - lo == 1:
            _attach(order[lo], parent, begin)
            levels[level].append(order[lo])
            continue
        group = order[lo:hi]
        # Sorted, so what the first and the last share all share; each row keeps a token to read.
        common = _common(group[0].token_ids, group[-1].token_ids, begin)
        end = min(common, min(len(row.token_ids) for row in group) - 1)
        if (end - begin) * ((1 - CONTINUING) * len(group) - 1) >= WORTH:
            wanted = _wanted(group, begin, end)
            top = Row(group[0].token_ids[:end], wanted, [end], group[0].prefix, common=True)
            _attach(top, parent, begin)
            levels[level].append(top)
            parent, begin, level = top, end, level + 1
        todo += [(lo + a, lo + b, level, parent, begin) for a, b in _branches(group, common)]
    return [level for level in levels if level]


def batches(rows: Sequence[Row], max_tokens: int) -> Iterator[list[Row]]:
    """Rows of like lengths together, as many as the budget takes and at least one.

    Args:
        rows: to be read, in any order.
        max_tokens: new tokens of one batch, padding included; four times as many with prefixes.
    """
    batch: list[Row] = []
    new = known = 0
    for row in sorted(rows, key=lambda row: (bool(row.keep), len(row.prefix), row.new)):
        new, known = max(new, row.new), max(known, len(row.prefix))
        more = len(batch) + 1
        full = more * new > max_tokens or more * (new + known) > 4 * max_tokens
        if batch and (full or bool(row.keep) != bool(batch[0].keep)):
            yield batch
            batch, new, known = [], row.new, len(row.prefix)
        batch.append(row)
    if batch:
        yield batch


def _common(a: list[int], b: list[int], start: int) -> int:
    """Length of the common beginning of two lists, known to be at least `start`."""
    for index in range(start, min(len(a), len(b))):
        if a[index] != b[index]:
            return index
    return min(len(a), len(b))


def _attach(row: Row, parent: Row | None, begin: int) -> None:
    row.parent, row.begin = parent, begin
    row.wanted = [position for position in row.wanted if position >= begin]


def _wanted(group: Sequence[Row], begin: int, end: int) -> list[int]:
    return sorted({p for row in group for p in row.wanted if begin <= p < end})


def _same_prefix(order: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Runs of rows that continue the very same slots."""
    start = 0
    for index in range(1, len(order) + 1):
        if index == len(order) or not np.array_equal(order[index].prefix, order[start].prefix):
            yield start, index
            start = index


def _branches(group: Sequence[Row], common: int) -> Iterator[tuple[int, int]]:
    """Runs of rows that agree in the token behind what all have in common."""
    start = 0
    for index in range(1, len(group) + 1):
        last = group[start].token_ids[common : common + 1]
        if index == len(group) or not last or group[index].token_ids[common : common + 1] != last:
            yield start, index
            start = index
