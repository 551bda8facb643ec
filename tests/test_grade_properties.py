"""What holds for any text at all: no error, symmetry, reflexivity, classes that are a partition."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testtime.grade.classes import equivalence_classes
from testtime.grade.decide import grade_pairs
from testtime.grade.extract import extract_answer
from testtime.grade.spell import normalise
from testtime.grade.workers import Workers
from testtime.study.conventions import convention_named

MATH = convention_named("math")
PIECES = st.sampled_from(
    [
        *("1", "2", "0.5", "10", "025", "x", "y", "n", "e", "i", "a", "f", "C", "\\pi", "\\theta"),
        *("+", "-", "*", "/", "^", "_", "=", "<", ">", "!", "%", ",", ";", ":", "|", "'", " "),
        *(
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            "\\{",
            "\\}",
            "\\left(",
            "\\right)",
            "\\langle",
            "\\rangle",
        ),
        *("\\frac", "\\frac{1}{2}", "\\sqrt", "\\sqrt[3]", "\\sin", "\\log", "\\ln", "\\binom"),
        *("\\cup", "\\in", "\\le", "\\ne", "\\approx", "\\pm", "\\infty", "\\circ", "^\\circ"),
        *(
            "\\text{ cm}",
            "\\text{and}",
            "\\text{east}",
            "and",
            "or",
            "\\%",
            "\\$",
            "$",
            "\\\\",
            "&",
        ),
        *("\\begin{pmatrix}", "\\end{pmatrix}", "\\begin{array}{cc}", "\\boxed{", "\\quad", "\\,"),
        *("²", "−", "π", "∞", "٣", "\u202e", "\x00", "\ud800", "é", "鸟", "the", "answer is", "\n"),
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@pytest.fixture(scope="module")
def workers():
    with Workers(1) as children:
        yield children


@settings(max_examples=150, deadline=None)
@given(a=TEXTS, b=TEXTS)
def test_verdicts_are_symmetric_and_reflexive(workers, a, b):
    there, back, itself = grade_pairs([(a, b), (b, a), (a, a)], MATH, workers)
    if a.strip() and b.strip():
        assert there.correct == back.correct
    if normalise(a) and a.strip():
        assert itself.correct is True


@settings(max_examples=80, deadline=None)
@given(answers=st.lists(TEXTS, max_size=8), formulas_are_read=st.booleans())
def test_classes_are_a_partition_whatever_the_order(workers, answers, formulas_are_read):
    readers = workers if formulas_are_read else None
    classes = equivalence_classes(answers, workers=readers)
    back = equivalence_classes(answers[::-1], workers=readers)[::-1]
    assert len(classes) == len(answers)
    for i in range(len(answers)):
        assert (classes[i] == -1) == (not answers[i].strip())
        for j in range(i):
            assert (classes[i] == classes[j]) == (back[i] == back[j])


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_extraction_and_normalisation_take_any_text(text):
    found = extract_answer(text)
    assert found is None or (isinstance(found, str) and found)
    assert isinstance(normalise(text), str)
