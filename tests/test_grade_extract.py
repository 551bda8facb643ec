"""The final answer of a solution, as it is written there."""

import pytest
from testtime.grade.extract import extract_answer, has_box


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{42}.", "42"),
        (r"$\boxed{\frac{1}{\sqrt{2}}}$", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed {7}", "7"),
        (r"\fbox{7}", "7"),
        (r"First \boxed{1}, which is wrong. Now it is \boxed{2}.", "2"),
        (r"\boxed{5} and again \boxed{5}", "5"),
        (r"$\boxed{1}$ and $\boxed{2}$", "1, 2"),
        (r"\boxed{1}, \boxed{2}, \boxed{3}", "1, 2, 3"),
        (r"\boxed{\frac{3}{6}} = \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"The sum is $\boxed{28}$ percent.", r"28\%"),
        (r"It is \boxed{3}. Therefore it is \boxed{", "3"),
        (r"Cut off: \boxed{\frac{1}{2}", r"\frac{1}{2}"),
    ],
)
def test_the_last_box_is_the_answer(text, answer):
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 5.", "5"),
        ("The final answer is $(0, 1)$. I hope it is correct.", "(0, 1)"),
        (r"Final Answer: The final answer is \((-6, 10)\). I hope it is correct.", "(-6, 10)"),
        ("Final Answer: The largest $n$ is 34.", "34"),
        ("Answer: $1$ and $2$ and $3$", "1, 2, 3"),
        (r"We had \boxed{200} first. Final Answer: The final answer is $10,455$.", "10,455"),
        (r"\boxed{12} is it. The answer is correct.", "12"),
        ("the answer is **13**", "13"),
        ("Therefore, the final answer is east.", "east"),
    ],
)
def test_an_announced_answer_counts_where_it_comes_last(text, answer):
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "bare", ["5", "-3/4", "x=5", r"\frac{1}{2}", "(1, 2)", "east", r"\text{(C)}", "12 hours", "3,5"]
)
def test_a_bare_answer_is_itself(bare):
    assert extract_answer(bare) == bare


def test_without_a_mark_the_last_number_of_a_finished_solution_counts():
    text = "We add them up step by step.\n\nSo the number of divisors of 196 is (2+1)(2+1) = 9."
    assert extract_answer(text) == "9"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n ",
        r"\boxed{...}",
        "First we compute 3 + 4 = 7 and then we go on.\n\n## Step 2: Multiply by 15",
        "We begin with $f(1) = 2$ and use the recursion several times.\n\nThen $f(2",
    ],
)
def test_a_solution_that_breaks_off_has_no_answer(text):
    assert extract_answer(text) is None


def test_choices_that_the_solution_made_up_are_looked_up():
    text = " $\\frac{1}{4}$\nB: $\\frac{1}{2}$\nC: $1$\nD: $2$\nThe best answer is B."
    assert extract_answer(text) == r"\frac{1}{2}"


def test_exact_convention_takes_a_box_or_a_word_only():
    assert extract_answer(r" (1) c=7*8 c=6 \boxed{8,0,0}", "exact") == "8,0,0"
    assert extract_answer("8,0,0", "exact") == "8,0,0"
    assert extract_answer(" (1) c=7*8 c=6\n\n (2) c=6*4", "exact") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"so \boxed{42}.", True),
        (r"\boxed{\frac{1}{2}} and \boxed{", True),
        ("\\boxed{1,\n\n2}", True),
        (r"cut off: \boxed{\frac{1}{2}", False),
        (r"put it into \boxed{}, or \boxed{ }", False),
        (r"use \boxed for the answer", False),
        ("The answer is 5.", False),
    ],
)
def test_a_box_is_complete_where_it_is_closed_and_not_blank(text, found):
    assert has_box(text) == found
