"""`testtime score`: each format against its reference, and errors that name the line."""

import json
import random
import socket

import prm_references
import pytest
import tiny_prms
import typer
from testtime.cli.score import prm_spec, score
from testtime.errors import UserError
from typer.testing import CliRunner

app = typer.Typer()
app.command()(score)


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module", params=tiny_prms.FORMATS)
def format(request):
    return request.param


@pytest.fixture(scope="module")
def folder(format, tmp_path_factory):
    return tiny_prms.build(format, tmp_path_factory.getbasetemp() / format)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def mixed(n):
    """Solutions of 1 to 12 steps and very different lengths."""
    rng = random.Random(n)
    words = "add multiply 2 3 12 then so = + - x \\frac{1}{2} the answer is"
    for index in range(n):
        steps = [
            " ".join(rng.choices(words.split(), k=rng.randint(1, 9)))
            for _ in range(1 if index % 4 == 0 else rng.randint(2, 12))
        ]
        yield {"problem": f"What is {index} + {rng.randint(2, 99)}?", "steps": steps, "id": index}


@pytest.mark.parametrize("n", [1, 16])
def test_scores_agree_with_the_model_cards_words(format, folder, tmp_path, no_network, n):
    rows = list(mixed(n))
    solutions, scored = write(tmp_path / "solutions.jsonl", rows), tmp_path / "scored.jsonl"
    named = [] if format in ("skywork", "qwen2.5-math-prm") else ["--format", format]
    run(solutions, "--prm", folder, *named, "--output", scored)
    found = read(scored)
    assert [{k: v for k, v in row.items() if k != "scores"} for row in found] == rows
    for row in found:
        expected = prm_references.reference_scores(format, folder, row["problem"], row["steps"])
        assert row["scores"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"steps": ["x"]}', "line 2: no 'problem'"),
        ('{"problem": "x"}', "line 2: no 'steps'"),
        ('{"problem": 3, "steps": ["x"]}', "line 2: 'problem' is 3; allowed: a text"),
        ('{"problem": "x", "steps": "y"}', "line 2: 'steps' is 'y'; allowed: a list of texts"),
        ('{"problem": "x", "steps": ["y", ""]}', "line 2: 'steps' has '' as step 2"),
        ('{"problem": "x", "steps": [" \\n", "y"]}', r"line 2: 'steps' has ' \\n' as step 1"),
        ('{"problem": "x", "steps": ["y", null]}', "line 2: 'steps' has None as step 2"),
        ('["x"]', "line 2: expected an object"),
        ('{"problem": ', "line 2: not JSON"),
    ],
)
def test_a_wrong_line_is_named_before_a_model_is_loaded(tmp_path, line, message):
    path = tmp_path / "solutions.jsonl"
    path.write_text('{"problem": "x", "steps": ["y"]}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=message):
        run(path, "--prm", "no such PRM", "--output", tmp_path / "out.jsonl")


def test_blank_lines_count_in_line_numbers(tmp_path):
    path = tmp_path / "solutions.jsonl"
    path.write_text('\n{"problem": "x", "steps": ["y"]}\n\n{"problem": "x"}\n')
    with pytest.raises(UserError, match="line 4: no 'steps'"):
        run(path, "--prm", "x", "--output", tmp_path / "out.jsonl")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no such file: .*none\.jsonl"):
        run(tmp_path / "none.jsonl", "--prm", "x", "--output", tmp_path / "out.jsonl")


def test_a_failed_run_leaves_no_output(format, folder, tmp_path):
    long = {"problem": "x", "steps": ["so it is 4"] * 400}
    solutions = write(tmp_path / "solutions.jsonl", [*mixed(3), long])
    with pytest.raises(UserError, match=r"line 4: step \d+ of 400 ends beyond the PRM's context"):
        run(solutions, "--prm", folder, "--format", format, "--output", tmp_path / "out.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["solutions.jsonl"]


def test_a_solution_without_steps_has_no_scores(format, folder, tmp_path):
    rows = [{"problem": "x", "steps": []}, {"problem": "x", "steps": ["y"]}]
    solutions, scored = write(tmp_path / "solutions.jsonl", rows), tmp_path / "scored.jsonl"
    run(solutions, "--prm", folder, "--format", format, "--output", scored)
    assert [len(row["scores"]) for row in read(scored)] == [0, 1]


def test_an_empty_file_gives_an_empty_file(format, folder, tmp_path):
    solutions, scored = write(tmp_path / "solutions.jsonl", []), tmp_path / "scored.jsonl"
    run(solutions, "--prm", folder, "--format", format, "--output", scored)
    assert scored.read_text() == ""


def test_a_name_is_looked_up_in_the_catalog():
    spec = prm_spec("qwen2.5-math-prm-7b")
    assert (spec.model, spec.format) == ("Qwen/Qwen2.5-Math-PRM-7B", "qwen2.5-math-prm")
    assert prm_spec("qwen2.5-math-prm-7b", engine="vllm").engine == "vllm"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("qwen-prm",), "'qwen-prm' is neither in the catalog nor a folder; known: .*skywork-prm"),
        (("skywork-prm-7b", "shepherd"), "format 'shepherd' is not known; allowed: math-shepherd"),
        (("skywork-prm-7b", None, "tgi"), "--engine 'tgi'.*transformers, vllm"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is(arguments, message):
    with pytest.raises(UserError, match=message):
        prm_spec(*arguments)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="no model in this folder"):
        prm_spec(str(tmp_path))
