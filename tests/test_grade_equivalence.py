"""Which answers are the same: numbers and lists by themselves, formulas with math-verify."""

import itertools
import json
import re

import pytest
from testtime.grade.classes import equivalence_classes
from testtime.grade.decide import gold_answer, grade_pairs
from testtime.grade.extract import extract_answer
from testtime.grade.workers import Workers
from testtime.study.conventions import convention_named

MATH = convention_named("math")

SAME = [
    ("1/2", "0.5"),
    (r"\frac{1}{2}", r"\dfrac12"),
    ("1000", "1,000"),
    ("1000", r"1{,}000"),
    ("11111111100", r"11,\! 111,\! 111,\! 100"),
    ("025", "25"),
    ("27.0", "27"),
    (r"1\frac{4}{5}", r"\frac{9}{5}"),
    ("137 1/2", "137.5"),
    (r"-2\frac{1}{3}", "-7/3"),
    (r"90^\circ", "90"),
    (r"15\mbox{ cm}^2", "15"),
    (r"5.4 \text{ cents}", "5.4"),
    (r"\$32,\!348", "32348"),
    (r"\text{(C)}", "C"),
    (r"\text{east}", "East"),
    ("$odd$", r"\text{odd}"),
    ("x=5", "5"),
    ("y = 2x+3", "2x - y + 3 = 0"),
    ("x^2/16 + y^2/12 = 1/4", "x^2/4 + y^2/3 = 1"),
    (r"x \in [-2,7]", r"-2 \le x \le 7"),
    ("x < 3", r"(-\infty, 3)"),
    ("-x > -3", "x < 3"),
    ("x \\ne 3", r"(-\infty,3) \cup (3,\infty)"),
    ("[1,2] \\cup [2,3]", "[1,3]"),
    ("1,-2", "-2,1"),
    ("19, 46, and 82", "82, 19, 46"),
    (r"1 \pm \sqrt{5}", r"1-\sqrt{5}, 1+\sqrt{5}"),
    (r"\{1\pm\sqrt{5},-2\}", r"\{-2, 1+\sqrt5, 1-\sqrt5\}"),
    ("(p,q)=(3,2)", "(3,2)"),
    ("p=5,q=2;p=7,q=2", "(5,2),(7,2)"),
    (r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}"),
    (r"\sqrt{50}", r"5\sqrt{2}"),
    (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"),
    ("(x-2)(x+2)", "x^2-4"),
    (r"\sec^2 y", r"\tan^2 y + 1"),
    (r"2\sin b\cos a", r"\sin(a+b) - \sin(a-b)"),
    (r"\sqrt[3]{-8}", "-2"),
    (r"\log_2 8", "3"),
    (r"\binom{5}{2}", "10"),
    ("6-5i", "-5i+6"),
    ("1/3", "0.333333"),
    ("28%", "28"),
    ("50%", "1/2"),
    ("7:32", r"\frac{7}{32}"),
    (r"12^{\text{th}}", "12"),
    ("x²", "x^2"),
    ("π/2", r"\frac{\pi}{2}"),
    ("−5", "-5"),
]

DIFFERENT = [
    ("1/2", "1/3"),
    ("[0,1)", "(0,1)"),
    ("(3,4]", "[3,4]"),
    ("(1,2)", "(2,1)"),
    (r"\{1,3\}", "(3,1)"),
    ("32, 349", "32349"),
    ("(1,200)", "1200"),
    ("x=5", "y=5"),
    ("x < 5", "x > 5"),
    (r"x \le 5", "x < 5"),
    ("0.33", "1/3"),
    (".0000672", "0.000067"),
    ("10_2", "10_3"),
    ("40_9", "40"),
    ("2021", r"\pm 2021"),
    ("12:00", "1:00"),
    ("x+1", "x+2n+1"),
    (r"\sqrt{x^2}", "x"),
    ("11a+c", "7 = 11a+c"),
    ("5x-7y+11z+4=0", "x+y-z+2=0"),
    (r"\text{east}", r"\text{west}"),
    ("C", "D"),
    ("3", r"\text{three}"),
    ("1", r"\sqrt{19}"),
    ("12345678901234567891", "12345678901234567892"),
    ("2^{100}", "2^{100}+1"),
    (r"10^{12}\sqrt{2}", r"10^{12}\sqrt{2}+1"),
    (r"\pi R^2 - \pi r^2", "0"),
    (r"\sin 30", r"\sin 30^\circ"),
    ("1,1,2", "1,1,3"),
    ("5%", "50"),
]


@pytest.fixture(scope="module")
def workers():
    with Workers(1) as children:
        yield children


@pytest.fixture(scope="module")
def verdict(workers):
    def found(a, b, convention=MATH):
        return grade_pairs([(a, b)], convention, workers)[0].correct

    return found


@pytest.mark.parametrize(("a", "b"), SAME)
def test_the_same_answer_written_differently(verdict, a, b):
    assert verdict(a, b) is True
    assert verdict(b, a) is True


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different_answers(verdict, a, b):
    assert verdict(a, b) is False
    assert verdict(b, a) is False


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (r"\frac{11}{5}", r"\frac{11}{0}"),
        ("12:00", "x^2 < 5"),
        ("x < y", "12:00"),
        (r"\frac{1}{", "1"),
    ],
)
def test_what_cannot_be_decided_cannot_from_either_side(verdict, a, b):
    assert verdict(a, b) is None
    assert verdict(b, a) is None


@pytest.mark.parametrize("answer", sorted({x for pair in SAME + DIFFERENT for x in pair}))
def test_every_answer_equals_itself(verdict, answer):
    assert verdict(answer, answer) is True


# Equal only once both are known: what a percent sign means, which equation, a solved inequality.
IN_PAIRS_ONLY = {"50%", "y = 2x+3", "-x > -3", "0.333333"}


@pytest.mark.parametrize(("a", "b"), [pair for pair in SAME if not IN_PAIRS_ONLY & set(pair)])
def test_equal_answers_vote_together(workers, a, b):
    assert equivalence_classes([a, b], workers=workers) == [0, 0]


@pytest.mark.parametrize(
    ("convention", "a", "b", "same"),
    [
        ("math,percent=number", "50%", "50", True),
        ("math,percent=number", "50%", "1/2", False),
        ("math,percent=value", "50%", "50", False),
        ("math,percent=value", "50%", "1/2", True),
        ("math,lists=ordered", "1,2", "2,1", False),
        ("math,lists=ordered", r"\{1,2\}", r"\{2,1\}", True),
        ("math,decimals=4", "8/3", "2.6667", True),
        ("math,bases=optional", "4210_5", "4210", True),
        ("integer", "025", "25", True),
        ("integer", "27.0", "27", True),
        ("integer", r"\text{204 minutes}", "204", True),
        ("exact", " 8,0, 0", "8,0,0", True),
        ("exact", "8,0,0", "0,0,8", False),
        ("exact", "1/2", "0.5", False),
    ],
)
def test_conventions_choose(verdict, convention, a, b, same):
    settings = convention_named(convention)
    assert verdict(a, b, settings) is same
    assert verdict(b, a, settings) is same


def test_votes_count_equal_answers_together():
    answers = ["1/2", None, "0.5", r"\frac{2}{4}", "1/3", "", "x=1/2", "0.333333", "50%"]
    assert equivalence_classes(answers) == [0, -1, 0, 0, 1, -1, 0, 2, 3]


def test_a_bare_value_joins_the_only_left_side_but_no_two():
    assert equivalence_classes(["x=5", "5"]) == [0, 0]
    assert equivalence_classes(["x=5", "5", "y=5"]) == [0, 1, 2]


def test_classes_do_not_depend_on_the_order_of_answers():
    answers = ["x=5", "5", r"\{1,2\}", "2,1", "(1,2)", "0.5", "1/2", "no", "a+b", "b+a", "10_2"]
    expected = _partition(answers)
    for shift in range(1, len(answers)):
        assert _partition(answers[shift:] + answers[:shift]) == expected


def _partition(answers):
    groups = {}
    for answer, group in zip(answers, equivalence_classes(answers), strict=True):
        groups.setdefault(group, set()).add(answer)
    return {frozenset(group) for group in groups.values()}


@pytest.fixture(scope="module")
def golds(shared_data):
    return {
        name: [
            json.loads(line)["answer"]
            for line in (shared_data / f"problems/{name}.jsonl").read_text().splitlines()
        ]
        for name in ("math500", "aime24", "amc23")
    }


SOLUTIONS = (
    r"We find \boxed{%s}.",
    r"Hence \[ \boxed{ %s } \] as claimed.",
    r"The final answer is: $\boxed{%s}$",
    r"The final answer is $%s$. I hope it is correct.",
)


@pytest.mark.parametrize(
    ("name", "convention"), [("math500", "math"), ("aime24", "integer"), ("amc23", "integer")]
)
def test_every_gold_extracted_from_a_solution_equals_itself(golds, workers, name, convention):
    settings = convention_named(convention)
    pairs = [
        (extract_answer(solution % gold, convention), gold_answer(gold, settings))
        for gold in golds[name]
        for solution in SOLUTIONS
    ]
    verdicts = grade_pairs(pairs, settings, workers)
    assert [pair for pair, found in zip(pairs, verdicts, strict=True) if not found.correct] == []


def rewritings(gold):
    """Other spellings of the same answer, each made by a rule that keeps the meaning."""
    yield gold.replace(r"\frac", r"\dfrac").replace(r"\dd", r"\d")
    yield re.sub(r"\\[dt]frac", r"\\frac", gold)
    yield gold.replace(" ", "") if "\\" not in gold else gold.replace("} ", "}")
    yield re.sub(r"\s*([=+,])\s*", r" \1 ", gold) if not re.search(r"\d,", gold) else gold
    yield f"${gold}$"
    yield rf"\({gold}\)"
    yield f"{gold}."
    if "text" not in gold and "mbox" not in gold:
        yield re.sub(
            r"([()\[\]])",
            lambda m: (r"\left" if m[1] in "([" else r"\right") + m[1],
            gold.replace(r"\left", "").replace(r"\right", ""),
        )
    words = re.fullmatch(r"\\text\{([a-zA-Z]+)\}", gold)
    if words:
        yield words[1]
        yield rf"\mbox{{{words[1]}}}"
        yield rf"\textbf{{{words[1].upper()}}}"
    elif re.fullmatch(r"[a-z]", gold):
        yield rf"\text{{{gold}}}"
    if re.fullmatch(r"-?\d+", gold):
        yield f"{gold}.0"
        yield rf"{gold}\text{{ units}}"
        yield rf"x = {gold}"
        yield rf"\frac{{{2 * int(gold)}}}{{2}}"
        yield f"{int(gold):,}"
    fraction = re.fullmatch(r"(-?)\\d?frac\{(\d+)\}\{(\d+)\}", gold)
    if fraction:
        sign, top, bottom = fraction.groups()
        yield f"{sign}{top}/{bottom}"
        yield rf"\frac{{{sign}{top}}}{{{bottom}}}"
        yield f"{sign}{int(top) / int(bottom):.12f}"
        yield rf"{sign}\frac{{{3 * int(top)}}}{{{3 * int(bottom)}}}"
    terms = re.fullmatch(r"(\w+) ?([+-]) ?(\w+)", gold)
    if terms:
        first, sign, second = terms.groups()
        yield f"{'' if sign == '+' else '-'}{second}+{first}"


def test_golds_equal_their_common_rewritings(golds, workers):
    pairs = [
        pair
        for gold in golds["math500"]
        for other in dict.fromkeys(rewritings(gold))
        for pair in ((other, gold), (gold, other))
    ]
    verdicts = grade_pairs(pairs, MATH, workers)
    assert [pair for pair, found in zip(pairs, verdicts, strict=True) if not found.correct] == []
    assert len(pairs) > 7000


# Equal though written differently: the same number, list or value, with or without its unit.
EQUAL_GOLDS = {
    frozenset(pair)
    for pair in [
        (r"90^\circ", "90"), (r"120^\circ", "120"), (r"30^\circ", "30"), ("36", r"36^\circ"),
        ("36", r"\$36"), (r"36^\circ", r"\$36"), ("15", r"15\mbox{ cm}^2"), ("5", "x=5"),
        ("1,-2", "-2,1"), ("(-2,1)", "-2,1"), (r"\frac{1}{4}", r"\frac14"),
        (r"10,\!080", "10080"), (r"2 \sqrt{5}", r"2\sqrt{5}"),
    ]
}  # fmt: skip


@pytest.mark.parametrize("name", ["math500", "aime24", "amc23"])
def test_no_two_different_golds_are_equal(golds, workers, name):
    pairs = list(itertools.permutations(dict.fromkeys(golds[name]), 2))
    verdicts = dict(zip(pairs, grade_pairs(pairs, MATH, workers), strict=True))
    assert all(found.correct == verdicts[pair[::-1]].correct for pair, found in verdicts.items())
    found = {frozenset(pair) for pair, verdict in verdicts.items() if verdict.correct}
    assert found == (EQUAL_GOLDS if name == "math500" else set())
    assert all(verdict.correct is not None for verdict in verdicts.values())
