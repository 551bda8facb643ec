"""What a search method sees: a tree to grow, two requests to make, and how paths are ranked.

A method is a generator over one tree. It yields `Expand` and gets the children, it yields `Score`
and gets the same paths with the scores of their new steps, and finally it returns its paths, one
with beams also the finished candidates that it pruned. Many trees run at once; a method knows
nothing of the others, nor of batches and engines.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from testtime.study.types import Path, Problem
from testtime.study.vocabulary import SCORE_DIGITS


@dataclass(frozen=True)
class Tree:
    """The search of one problem, or one subtree of it.

    Attributes:
        budget: N of the whole search.
        beam_width: M, children of each expanded path.
        max_steps: most steps of a path; what is unfinished then stays unfinished.
        max_tokens: most tokens of a sample drawn in one pass.
        seed: the tree's own; every child's seed derives from its parent's.
        subtree: index among the independent subtrees, or searches, of a problem.
    """

    problem: Problem
    budget: int
    beam_width: int
    max_steps: int
    max_tokens: int
    seed: int
    subtree: int = 0

    @property
    def root(self) -> Path:
        """The path without steps."""
        return Path(finish="step", seed=self.seed)


@dataclass(frozen=True)
class Expand:
    """Continue each parent with as many children as its count; the reply is all of them in order.

    Attributes:
        counts: children of each parent.
        scored: whether the children are scored too, each as soon as it is there.
        first: index of a parent's first child, where it is expanded in several rounds.
        stop: "step" for one step, "end" for a whole solution.
        greedy: at temperature 0.
        candidates: False for rollouts that are scored and discarded; they cost tokens but are not
            part of the tree's width.
    """

    parents: Sequence[Path]
    counts: Sequence[int]
    scored: bool = False
    first: int = 0
    stop: Literal["step", "end"] = "step"
    greedy: bool = False
    candidates: bool = True


@dataclass(frozen=True)
class Score:
    """Score the steps that are new since last time; the reply is the paths with scores."""

    paths: Sequence[Path]


Ask = Expand | Score
Program = Generator[Ask, list[Path], list[Path]]


def grow(parents: Sequence[Path], counts: Sequence[int]) -> Program:
    """The candidates of one step, with their scores."""
    return (yield Expand(parents, counts, scored=True))


def ended(path: Path) -> bool:
    """Whether a path cannot be continued: finished, or out of tokens."""
    return path.finish != "step"


def value(path: Path) -> float:
    """The rank of a path: the score of its newest step.

    A path that gained no step (the policy wrote a bare separator, or ended at once) keeps the
    score it had, and so does one whose newest step ends beyond the PRM's context; one without any
    score ranks as 0.
    """
    return path.scores[-1] if path.scores else 0.0


def select_best(
    paths: Sequence[Path], count: int, values: Sequence[float] | None = None
) -> list[Path]:
    """The `count` best paths, in their given order; ties go to the first."""
    values = [value(path) for path in paths] if values is None else values
    ranked = sorted(range(len(paths)), key=lambda i: -round(values[i], SCORE_DIGITS))
    return [paths[i] for i in sorted(ranked[:count])]


def prune(
    candidates: Sequence[Path], count: int, values: Sequence[float] | None = None
) -> tuple[list[Path], list[Path]]:
    """The `count` best candidates, as of `select_best`, and the finished ones among the others."""
    kept = select_best(candidates, count, values)
    chosen = {id(path) for path in kept}  # equal samples are different candidates
    others = [path for path in candidates if path.finished and id(path) not in chosen]
    return kept, [replace(path, kept=False) for path in others]
