"""What holds for any text at all: no error, symmetry, reflexivity, classes that are a partition."""

from hypothesis import given, settings
from hypothesis import strategies as st
from testtime.grade import convention_named, equivalence_classes, extract_answer
from testtime.grade.decide import ASK, decide
from testtime.grade.normal import normalise

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


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS)
def test_verdicts_are_symmetric_and_reflexive(a, b):
    there, back = decide(a, b, MATH), decide(b, a, MATH)
    if a.strip() and b.strip():
        assert there.correct == back.correct
        assert (there == ASK) == (back == ASK)
    if normalise(a) and a.strip():
        assert decide(a, a, MATH).correct is True


@settings(max_examples=80, deadline=None)
@given(st.lists(TEXTS, max_size=8))
def test_classes_are_a_partition_whatever_the_order(answers):
    classes = equivalence_classes(answers)
    back = equivalence_classes(answers[::-1])[::-1]
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
