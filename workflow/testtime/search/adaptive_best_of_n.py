"""Adaptive best-of-N: stop sampling once the vote is decided.

Aggarwal et al. (2023), "Let's Sample Step by Step: Adaptive-Consistency for Efficient Reasoning
and Coding with LLMs", arXiv 2305.11860: their Beta criterion, here over votes weighted by a PRM.
"""

from collections.abc import Callable, Sequence

from testtime.search.tree import Expand, Program, Score, Tree, value
from testtime.study.types import Path

CONFIDENCE = 0.95  # as in the paper


def adaptive_best_of_n(tree: Tree) -> Program:
    """Draw whole solutions M at a time, at most N, until the leading answer is safe.

    Sample i is the same for every N, so a larger budget only continues where a smaller one ran out.
    """
    drawn: list[Path] = []
    while len(drawn) < tree.budget and not is_decided(drawn):
        count = min(tree.beam_width, tree.budget - len(drawn))
        children = yield Expand([tree.root], [count], first=len(drawn), stop="end")
        drawn += yield Score(children)
    return drawn


def is_decided(
    paths: Sequence[Path], classify: Callable[[Sequence[str]], list[int]] | None = None
) -> bool:
    """Whether the leading answer keeps its lead over the second with probability 0.95.

    The probability is that a Beta(a + 1, b + 1) variable exceeds 1/2, where a and b are the summed
    scores of the two leading answers; an uncertain vote counts less than one, so uncertainty means
    more samples.

    Args:
        paths: whole solutions with their scores.
        classify: solution texts -> class of each one's answer, -1 for none.
    """
    if not paths:
        return False
    from scipy.special import betainc  # slow to import, and needed only by this method

    classes = (classify or _classify)([path.text for path in paths])
    votes: dict[int, float] = {}
    for path, answer in zip(paths, classes, strict=True):
        if answer >= 0:
            votes[answer] = votes.get(answer, 0.0) + value(path)
    first, second = (*sorted(votes.values(), reverse=True), 0.0, 0.0)[:2]
    return bool(betainc(second + 1, first + 1, 0.5) > CONFIDENCE)


def _classify(texts: Sequence[str]) -> list[int]:
    # Without workers formulas are compared by spelling, which at worst costs more samples.
    from testtime.grade.classes import equivalence_classes
    from testtime.grade.extract import extract_answer

    return equivalence_classes([extract_answer(text) for text in texts])
