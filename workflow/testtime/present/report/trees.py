"""The finished paths of a search, folded where they share steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Branch:
    """Consecutive steps that the same paths share, and what follows.

    Attributes:
        steps: pairs of a step's text and its score (None without one).
        paths: indices of the paths that end here.
        branches: where the paths part.
    """

    steps: list[tuple[str, float | None]] = field(default_factory=list)
    paths: list[int] = field(default_factory=list)
    branches: list["Branch"] = field(default_factory=list)


def fold(paths: Sequence[Sequence[tuple[str, float | None]]]) -> Branch:
    """Fold paths, each a sequence of (step, score), into a tree of shared beginnings."""
    return _fold([(i, list(path)) for i, path in enumerate(paths)])


def _fold(paths: list[tuple[int, list[tuple[str, float | None]]]]) -> Branch:
    branch = Branch()
    while paths and all(steps for _, steps in paths):
        first = paths[0][1][0]
        if any(steps[0] != first for _, steps in paths):
            break
        branch.steps.append(first)
        paths = [(i, steps[1:]) for i, steps in paths]
    branch.paths = [i for i, steps in paths if not steps]
    groups: dict[tuple[str, float | None], list] = {}
    for i, steps in paths:
        if steps:
            groups.setdefault(steps[0], []).append((i, steps))
    branch.branches = [_fold(group) for group in groups.values()]
    return branch
