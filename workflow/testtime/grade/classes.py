"""Which answers are the same: the classes that a vote counts."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence

from testtime.grade.conventions import Convention, convention_named
from testtime.grade.decide import value_of
from testtime.grade.normal import LONGEST, normalise
from testtime.grade.pool import Pool, Task
from testtime.grade.values import NO_LABELS

Labels = tuple[str, ...]


def equivalence_classes(
    answers: Sequence[str | None], convention: str = "math", pool: Pool | None = None
) -> list[int]:
    """Number the classes of equal answers to one problem, in the order first seen.

    Each answer has a canonical form of its own and a class is those that share it, so the
    relation is transitive whatever the answers are, and no gold answer takes part. A label that
    some leave out (the x of x = 5, a percent sign) does not part them unless the class would hold
    two different left sides. 0.333333 does not vote with 1/3: which exact number a rounded
    one stands for is known of a gold only.

    Args:
        answers: as extracted; None or "" get -1.
        convention: see `convention_named`.
        pool: reads notation that the cheap reader does not know; without it such answers are
            equal where their spelling is.

    Returns:
        One class per answer, 0, 1, ...
    """
    settings = convention_named(convention)
    distinct = list(dict.fromkeys(answer for answer in answers if answer and answer.strip()))
    forms = canonical_forms(distinct, settings, pool)
    numbered: dict[Hashable, int] = {}
    classes = {
        answer: numbered.setdefault(form, len(numbered))
        for answer, form in zip(distinct, without_idle_labels(forms), strict=True)
    }
    return [classes.get(answer, -1) for answer in answers]


def canonical_forms(
    answers: Sequence[str],
    convention: Convention,
    pool: Pool | None = None,
    too_hard: Collection[str] = (),
) -> list[tuple[Hashable, Labels]]:
    """(canonical form, labels) of each answer; those known as too hard go by their spelling."""
    forms = [_cheap_form(answer, convention) for answer in answers]
    hard = [i for i, (form, _) in enumerate(forms) if form is None]
    read: dict[int, Hashable] = {}
    if pool is not None and convention.name != "exact":
        readable = [i for i in hard if len(answers[i]) <= LONGEST and answers[i] not in too_hard]
        replies = pool.run(Task("key", (answers[i],)) for i in readable)
        read = {
            i: tuple(reply.result)
            for i, reply in zip(readable, replies, strict=True)
            if reply.result is not None
        }
    for i in hard:
        forms[i] = (read.get(i, ("spelled", normalise(answers[i]))), NO_LABELS)
    return forms


def _cheap_form(answer: str, convention: Convention) -> tuple[Hashable | None, Labels]:
    if convention.name == "exact":
        return ("spelled", "".join(answer.split())), NO_LABELS
    value = value_of(answer, convention)
    return (None, NO_LABELS) if value is None else (value.key, value.labels)


def without_idle_labels(forms: Sequence[tuple[Hashable, Labels]]) -> list[Hashable]:
    """Drop percent signs, and the left sides that no other one contradicts."""
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
