"""The microcosm's problems: splits that never meet, references that hold, a checker that sees."""

import random
from itertools import islice

import pytest
from testtime.data.microcosm import (
    SPLITS,
    answer,
    compute,
    generate_problems,
    label_steps,
    parse,
    problems,
    split_of,
    write,
)
from testtime.errors import UserError


def run(problem):
    """The registers at the end, by running the program as Python integers."""
    task = parse(problem)
    state = dict(zip("abc", task.start, strict=True))
    trace = []
    for x in task.instructions:
        operand = state[x.operand] if x.operand in state else int(x.operand)
        before = state[x.target]
        if x.op == "*":
            state[x.target] = before * operand
        elif x.op == "+":
            state[x.target] = before + operand
        else:
            state[x.target] = before - operand
        state[x.target] = state[x.target] % 10
        trace.append((x.target, state[x.target]))
    return state, trace


def test_splits_share_no_problem():
    drawn = {split: set(islice(problems(split, 3), 300)) for split in SPLITS}
    for split, texts in drawn.items():
        assert {split_of(text) for text in texts} == {split}
    assert len(set().union(*drawn.values())) == sum(map(len, drawn.values()))


def test_a_split_owns_a_problem_whatever_the_seed():
    for seed in range(5):
        assert all(split_of(p) == "test" for p in islice(problems("test", seed), 100))


def test_every_bucket_belongs_to_exactly_one_split():
    assert sorted(b for buckets in SPLITS.values() for b in buckets) == list(range(100))


def test_levels_are_the_number_of_instructions_and_equally_frequent():
    rows = generate_problems("test", 70, 0)
    assert [row["level"] for row in rows] == [2, 3, 4, 5, 6, 7, 8] * 10
    assert all(len(parse(r["problem"]).instructions) == r["level"] for r in rows)


def test_more_problems_keep_the_first_ones():
    assert generate_problems("test", 50, 1)[:20] == generate_problems("test", 20, 1)


def test_another_seed_draws_other_problems():
    first, second = (
        {r["problem"] for r in generate_problems("test", 200, seed)} for seed in (0, 1)
    )
    assert len(first & second) < 40


def test_problem_ids_are_distinct():
    assert len({r["problem_id"] for r in generate_problems("test", 500, 0)}) == 500


def test_answers_are_what_the_program_computes():
    for row in generate_problems("fresh", 300, 0):
        state, _ = run(row["problem"])
        assert row["answer"] == f"{state['a']},{state['b']},{state['c']}"


def test_reference_steps_are_right_one_by_one():
    for row in generate_problems("fresh", 200, 1):
        steps = write(row["problem"], random.Random(0), compute)
        _, trace = run(row["problem"])
        assert label_steps(row["problem"], steps) == [True] * (row["level"] + 1)
        for step, (target, value) in zip(steps, trace, strict=False):
            assert step.endswith(f" {target}={value}")
        assert steps[-1] == rf"\boxed{{{row['answer']}}}"


def test_either_order_of_a_product_is_right():
    problem = "Modulo 10, start with a=5 b=2 c=7; 1. c*=8"
    assert label_steps(problem, ["(1) c:7*8 c=6"]) == [True]
    assert label_steps(problem, ["(1) 8*c:7 c=6"]) == [True]


def test_an_injected_error_makes_its_step_and_all_later_ones_wrong():
    rng = random.Random(0)
    for row in generate_problems("fresh", 100, 2):
        steps = write(row["problem"], random.Random(0), compute)
        at = rng.randrange(row["level"])
        wrong = (int(steps[at][-1]) + rng.randrange(1, 10)) % 10
        steps[at] = f"{steps[at][:-1]}{wrong}"
        assert label_steps(row["problem"], steps) == [i < at for i in range(len(steps))]


def test_a_slip_is_carried_on():
    problem = "Modulo 10, start with a=5 b=2 c=7; 1. c*=8 2. c+=1"
    steps = write(problem, random.Random(0), lambda op, x, y: 3)
    assert [s[-3:] for s in steps[:2]] == ["c=3", "c=3"]
    assert "c:3" in steps[1]
    assert steps[-1] == r"\boxed{5,2,3}"


def test_steps_past_the_end_are_wrong():
    row = generate_problems("fresh", 1, 3)[0]
    steps = [*write(row["problem"], random.Random(0), compute), "(9) a:1+1 a=2"]
    assert label_steps(row["problem"], steps)[-1] is False


def test_a_problem_reads_back_as_it_was_written():
    for row in generate_problems("prm", 100, 0):
        assert str(parse(row["problem"])) == row["problem"]


@pytest.mark.parametrize("text", ["", "What is 2+2?", "Modulo 10, start with a=1 b=2 c=3;"])
def test_other_texts_are_refused(text):
    with pytest.raises(UserError, match="not a microcosm problem"):
        answer(text)


def test_an_unknown_split_is_refused():
    with pytest.raises(UserError, match="split 'dev': allowed are test, fresh, prm, train"):
        next(problems("dev", 0))
