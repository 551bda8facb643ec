"""How the work on thoughts is divided: segments of traces, answers, and the stamps of their rows.

Segments end at 128 tokens and then at twice as many each time, whatever the budgets.
"""

from collections.abc import Iterator, Sequence

FIRST = 128  # tokens of the first segment
ANSWER, THOUGHT = "answer", "thought"  # what a row in the store is
OWN = 0  # in the place of a budget: the answer of a trace that ended its thought itself


def segments() -> Iterator[tuple[int, int]]:
    """First place and the place after the last of every segment of a trace, without an end."""
    start, stop = 0, FIRST
    while True:
        yield start, stop
        start, stop = stop, 2 * stop


def part_stamp(stamp: str, part: str, place: int) -> str:
    """The stamp of the segments that begin at this place, or of the answers at this budget.

    Args:
        stamp: of the samples of a problem.
        part: THOUGHT or ANSWER.
        place: in tokens.
    """
    return f"{stamp}/{part}-{place}"


def part_stamps(stamp: str, budgets: Sequence[int], answer_tokens: int) -> Iterator[str]:
    """The stamps of all rows that the samples of a problem may have.

    Args:
        stamp: theirs.
        budgets: T, ascending.
        answer_tokens: most tokens of an answer, which may go on beyond the largest budget.
    """
    for budget in (OWN, *budgets):
        yield part_stamp(stamp, ANSWER, budget)
    for start, _ in segments():
        if start > budgets[-1] + answer_tokens:
            return
        yield part_stamp(stamp, THOUGHT, start)
