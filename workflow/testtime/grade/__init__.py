"""Grading: find the final answer, compare it with the gold, number the classes for votes.

An answer is normalised text first, then a value that a small bounded reader finds, and only what
both leave open goes to math-verify, in child processes with limits on time and memory.
"""

from importlib import import_module

_HOMES = {
    "Convention": "conventions",
    "convention_named": "conventions",
    "disagreements": "cross_check",
    "equivalence_classes": "classes",
    "extract_answer": "extract",
    "grade_answers": "grading",
    "grade_policy": "grading",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    """Import on first use: a worker imports this package too and has no use for pandas."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
