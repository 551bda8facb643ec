"""Which answers are the same: the classes that a vote counts."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

from testtime.grade.decide import read_answers
from testtime.grade.exact import NO_LABELS, Labels
from testtime.grade.spell import LONGEST, normalise
from testtime.grade.workers import Workers
from testtime.study.conventions import Convention, convention_named


def equivalence_classes(
    answers: Sequence[str | None], convention: str = "math", workers: Workers | None = None
) -> list[int]:
    """Number the classes of equal answers to one problem, in the order first seen.

    Each answer has a canonical form and a class is the answers that share it, so the relation is
    always transitive and no gold answer is involved. A label that some leave out (the x of x = 5, a
    percent sign) does not separate them unless the class would hold two different left sides.
    0.333333 does not vote with 1/3: only a gold tells which exact number a rounded one means.

    Args:
        answers: as extracted; None or "" get -1.
        convention: see `convention_named`.
        workers: read formulas; without them two formulas are equal if their spelling is.

    Returns:
        One class per answer, 0, 1, ...
    """
    settings = convention_named(convention)
    distinct = list(dict.fromkeys(answer for answer in answers if answer and answer.strip()))
    forms = canonical_forms(distinct, settings, workers)
    numbered: dict[Hashable, int] = {}
    classes = {
        answer: numbered.setdefault(form, len(numbered))
        for answer, form in zip(distinct, without_idle_labels(forms), strict=True)
    }
    return [classes.get(answer, -1) for answer in answers]


def canonical_forms(
    answers: Sequence[str], convention: Convention, workers: Workers | None = None
) -> list[tuple[Hashable, Labels]]:
    """(canonical form, labels) of each answer; an unreadable one goes by its spelling."""
    if convention.name == "exact":
        return [(("spelled", "".join(answer.split())), NO_LABELS) for answer in answers]
    short = [answer for answer in answers if len(answer) <= LONGEST]
    readings = read_answers(short, convention, workers)
    values = [readings[answer].value if answer in readings else None for answer in answers]
    return [
        (("spelled", normalise(answer)), NO_LABELS) if value is None else (value.key, value.labels)
        for answer, value in zip(answers, values, strict=True)
    ]


def without_idle_labels(forms: Sequence[tuple[Hashable, Labels]]) -> list[Hashable]:
    """Drop percent signs, and left sides that no other left side contradicts."""
    seen: dict[Hashable, list[set[str]]] = defaultdict(lambda: [set() for _ in NO_LABELS])
    for form, labels in forms:
        for names, label in zip(seen[form], labels, strict=True):
            names.update([label] if label else [])
    return [
        (
            form,
            left if len(seen[form][0]) > 1 else "",
            base,
        )
        for form, (left, base, _) in forms
    ]
