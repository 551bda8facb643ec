"""Policies that think: their budgets and methods, and how the work on their thoughts is divided.

Segments end at 128 tokens and then at twice as many each time, whatever the budgets.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from testtime.study.methods import METHODS
from testtime.study.seeds import derive

if TYPE_CHECKING:
    from testtime.study.catalog import PolicySpec

FIRST = 128  # tokens of the first segment
ANSWER, THOUGHT = "answer", "thought"  # what a row in the store is
OWN = 0  # in the place of a budget: the answer of a trace that ended its thought itself


def thinking_budgets(config: Mapping, spec: "PolicySpec") -> list[int]:
    """The thinking budgets T of a policy in a study; none if it does not think.

    Imported samples are at several budgets if they are in a file for each.
    """
    if spec.thinking is None or (spec.is_given and "{thinking}" not in spec.samples):
        return []
    own = config["per_policy"].get(spec.name, {}).get("budgets", {})
    return own.get("thinking", config["budgets"]["thinking"])


def applicable(methods: Sequence[str], thinking: Sequence[int]) -> list[str]:
    """The methods of a policy: thoughts are not cut into steps, so no search is over them."""
    if not thinking:
        return [n for n in methods if not METHODS[n].thoughts]
    return [n for n in methods if METHODS[n].kind != "search"]


def segments() -> Iterator[tuple[int, int]]:
    """First place and the place after the last of every segment of a trace, without an end."""
    start, stop = 0, FIRST
    while True:
        yield start, stop
        start, stop = stop, 2 * stop


def part_stamp(stamp: str, part: str, place: int, cue: str = "") -> str:
    """The stamp of the segments that begin at this place, or of the answers at this budget.

    Args:
        stamp: of the samples of a problem.
        part: THOUGHT or ANSWER.
        place: in tokens.
        cue: what an answer to a thought that was cut follows; no other row does.
    """
    return "/".join([stamp, f"{part}-{place}", *([f"{derive(cue):x}"] if cue else [])])


def part_stamps(
    stamp: str, budgets: Sequence[int], answer_tokens: int, cue: str = ""
) -> Iterator[str]:
    """The stamps of all rows that the samples of a problem may have.

    Args:
        stamp: theirs.
        budgets: T, ascending.
        answer_tokens: most tokens of an answer, which may go on beyond the largest budget.
        cue: of answers to thoughts that were cut.
    """
    yield part_stamp(stamp, ANSWER, OWN)
    for budget in budgets:
        yield part_stamp(stamp, ANSWER, budget, cue)
    for start, _ in segments():
        if start > budgets[-1] + answer_tokens:
            return
        yield part_stamp(stamp, THOUGHT, start)
