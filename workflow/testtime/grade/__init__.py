"""Grading: find the final answer, compare it with the gold, number the classes for votes.

An answer is normalised text first, then a value that a small bounded reader finds, and only what
both leave open goes to math-verify, in child processes with limits on time and memory.
"""

from testtime.grade.classes import equivalence_classes
from testtime.grade.conventions import Convention, convention_named
from testtime.grade.cross_check import disagreements
from testtime.grade.extract import extract_answer
from testtime.grade.grading import grade_answers, grade_policy

__all__ = [
    "Convention",
    "convention_named",
    "disagreements",
    "equivalence_classes",
    "extract_answer",
    "grade_answers",
    "grade_policy",
]
