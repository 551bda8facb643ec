"""Model output is hostile text: graded or refused within the limit, and nothing of it runs."""

import json
import subprocess
import sys
import time

import pandas as pd
import pytest
from testtime.grade.classes import equivalence_classes
from testtime.grade.extract import extract_answer
from testtime.grade.grading import grade_answers
from testtime.grade.workers import WALL_FACTOR, Workers

SECONDS = 0.5  # of processor, per answer, in a worker
HOSTILE = {
    "call": "__import__('os').system('touch MARKER')",
    "boxed call": r"\boxed{__import__('os').system('touch MARKER')}",
    "open": r"\boxed{open('MARKER','w')}",
    "lambda": r"\boxed{(lambda: exec('open(\"MARKER\",\"w\")'))()}",
    "eval": r"\boxed{\text{eval('2+3')}}",
    "power": "9**9**9**9",
    "tower": r"\boxed{9^{9^{9^{9}}}}",
    "factorials": r"\boxed{(((10!)!)!)!}",
    "endless sum": r"\boxed{\sum_{k=1}^{10^{10}} \frac{1}{k^{k}}}",
    "braces": "{" * 100_000 + "1" + "}" * 100_000,
    "boxed braces": r"\boxed{" + "{" * 100_000 + "1" + "}" * 100_000 + "}",
    "open boxes": r"\boxed{" * 100_000,
    "many boxes": r"\boxed{1}" * 50_000,
    "brackets": "(" * 1_000_000,
    "deep fractions": r"\boxed{" + r"\frac{1}{" * 90 + "2" + "}" * 91,
    "deep roots": r"\boxed{" + r"\sqrt{" * 250 + "2" + "}" * 251,
    "NUL": "\x00" * 1000,
    "NUL in an answer": "\\boxed{5\x00}",
    "input": r"\boxed{\input{/etc/passwd}}",
    "write": r"\boxed{\write18{touch MARKER}}",
    "spaces": " " * 1_000_000,
    "dollars": "$" * 100_000,
    "lines": "\n" * 1_000_000,
    "digits": "1" * 1_000_000,
    "commas": r"\boxed{" + "," * 1900 + "}",
    "equals": r"\boxed{" + "=" * 1900 + "}",
    "phrases": "the answer is " * 50_000,
    "words": "word " * 200_000,
    "broken LaTeX": r"\boxed{\frac{\sqrt{2}{\left( 3}",
    "half a character": "\\boxed{\ud800}",
    "nested tuples": r"\boxed{" + "(1," * 300 + "1" + ")" * 300 + "}",
}


@pytest.fixture(scope="module")
def graded():
    # A table cannot hold half a character; the command can.
    texts = {name: text for name, text in HOSTILE.items() if name != "half a character"}
    answers = {name: extract_answer(text) or "" for name, text in texts.items()}
    rows = [("p", answer) for answer in ["5", *answers.values(), r"\frac{10}{2}"]]
    started = time.monotonic()
    with Workers(2, time_limit_s=SECONDS) as workers:
        table = grade_answers(
            pd.DataFrame(rows, columns=["problem_id", "answer"]), {"p": "5"}, workers
        ).set_index("answer")
    hard = table["reason"].str.startswith(("undecided", "math-verify")).sum()
    # Every hard answer costs at most its limit and a new worker, even on a busy machine.
    assert time.monotonic() - started < hard * (WALL_FACTOR * SECONDS + 8)
    return {name: table.loc[answer] for name, answer in answers.items()}, table


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - {"half a character"}))
def test_a_hostile_text_is_graded_or_refused(graded, name):
    row = graded[0][name]
    right = name == "NUL in an answer"
    assert row["correct"] is pd.NA or row["correct"] == right
    assert row["reason"]


@pytest.mark.parametrize("name", HOSTILE)
def test_extraction_takes_a_moment_at_most(name):
    started = time.perf_counter()
    extract_answer(HOSTILE[name])
    assert time.perf_counter() - started < 2


def test_neighbours_are_graded_as_ever(graded):
    table = graded[1]
    assert table.loc["5", "correct"]
    assert table.loc[r"\frac{10}{2}", "correct"]


def test_undecided_is_never_false(graded):
    table = graded[1]
    undecided = table["reason"].str.startswith("undecided")
    assert table.loc[undecided, "correct"].isna().all()
    assert table.loc[~undecided, "correct"].notna().all()


def test_hostile_answers_have_classes_too():
    answers = [extract_answer(text) for text in HOSTILE.values()]
    classes = equivalence_classes(answers)
    assert [c == -1 for c in classes] == [not answer or not answer.strip() for answer in answers]


def test_the_command_survives_hostile_lines(tmp_path):
    names = ["call", "boxed call", "open", "tower", "braces", "NUL", "half a character", "write"]
    lines = [{"prediction": HOSTILE[name], "gold": "5"} for name in names]
    lines.append({"prediction": "The answer is 5.", "gold": "5"})
    file, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = subprocess.run(
        [sys.executable, "-c", "from testtime.cli.grade import grade; import typer; "
         "typer.run(grade)", str(file), "--output", str(output), "--time-limit", "0.5"],
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["prediction"] for row in rows] == [line["prediction"] for line in lines]
    assert rows[-1]["correct"] is True
    assert not any(row["correct"] for row in rows[:-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]
