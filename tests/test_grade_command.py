"""`testtime grade`: lines in, the same lines out with what was found."""

import json
from pathlib import Path

import pytest
import yaml
from testtime.cli.grade import grade
from testtime.errors import UserError
from testtime.grade.workers import MEMORY_LIMIT_MB, TIME_LIMIT_S


def _write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_lines_keep_their_order_and_fields(tmp_path, capsys):
    rows = [
        {"id": 1, "prediction": r"... so \boxed{\frac12}", "gold": "0.5"},
        {"id": 2, "prediction": "3", "gold": "4"},
        {"id": 3, "prediction": r"\boxed{\frac{1}{}", "gold": "4"},
        {"id": 4, "prediction": None, "gold": "4"},
        {"id": 5, "prediction": 4, "gold": 4.0},
        {"id": 6, "prediction": "Ответ: 4", "gold": r"We get \boxed{4}"},
    ]
    output = tmp_path / "out.jsonl"
    grade(_write(tmp_path / "in.jsonl", rows), output=output)
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert [{key: row[key] for key in ("id", "prediction", "gold")} for row in found] == rows
    assert [row["correct"] for row in found] == [True, False, None, False, True, True]
    assert [row["extracted"] for row in found][:2] == [r"\frac12", "3"]
    assert found[3]["extracted"] is None
    assert found[3]["reason"] == "no answer"
    assert "6 pairs: 3 correct, 2 wrong, 1 could not be decided" in capsys.readouterr().err


def test_without_an_output_lines_are_printed(tmp_path, capsys):
    grade(
        _write(tmp_path / "in.jsonl", [{"prediction": "8,0,0", "gold": "8,0,0"}]),
        convention="exact",
    )
    assert json.loads(capsys.readouterr().out)["correct"] is True


def test_many_lines_are_streamed(tmp_path):
    rows = ({"prediction": f"\\boxed{{{i % 50}}}", "gold": "7"} for i in range(3500))
    output = tmp_path / "out.jsonl"
    grade(_write(tmp_path / "in.jsonl", rows), output=output)
    verdicts = [json.loads(line)["correct"] for line in output.read_text().splitlines()]
    assert verdicts == [i % 50 == 7 for i in range(3500)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"gold": "1"}, "row 1: 'prediction' must be text, a number or null; found nothing"),
        ({"prediction": ["1"], "gold": "1"}, "row 1: 'prediction' must be .* found list"),
        ({"prediction": "1"}, "row 1: 'gold' must be .* found nothing"),
    ],
)
def test_a_bad_line_is_named(tmp_path, row, message):
    with pytest.raises(UserError, match=message):
        grade(_write(tmp_path / "in.jsonl", [row]), output=tmp_path / "out.jsonl")


def test_an_unknown_convention_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UserError, match="convention 'latex' is not known"):
        grade(tmp_path / "missing.jsonl", convention="latex")


def test_the_limits_are_those_of_the_study():
    config = yaml.safe_load((Path(__file__).parents[1] / "config.yaml").read_text())["grade"]
    assert (config["time_limit_s"], config["memory_limit_mb"]) == (TIME_LIMIT_S, MEMORY_LIMIT_MB)
