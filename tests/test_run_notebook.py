"""Notebooks as they are run: on their inputs, kept with outputs, errors in one line."""

import os
import sys

import nbformat
import pytest
from testtime.errors import UserError
from testtime.present.notebook import run_notebook

GIVEN = {
    "input": {"one": "a.csv", "many": ["b.csv", "c.csv"], "none": []},
    "params": {"shown": {"dpi": 40}},
    "config": {"seed": 7, "name": 'it\'s \\ "quoted"', "empty": None},
    "output": ["out.csv"],
}


@pytest.fixture
def run(tmp_path):
    """Runs cells; returns the executed notebook."""

    def run(*cells, given=GIVEN, executed=tmp_path / "results/notebooks/x.ipynb"):
        source = tmp_path / "x.ipynb"
        cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), source)
        run_notebook(source, executed, given)
        return nbformat.read(executed, as_version=4)

    return run


def test_a_notebook_finds_what_its_rule_has_in_this_python_and_keeps_its_outputs(run, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    done = run(
        "s = snakemake\n(s.input.one, s.input.many, s.input.none, s.params.shown, s.output[0])",
        "print(s.config)",
        "import sys, os\nprint(sys.executable, os.getcwd(), 'profile' in os.environ['IPYTHONDIR'])",
    )
    outputs = [output for cell in done.cells for output in cell.outputs]
    said = [output.get("text") or output["data"]["text/plain"] for output in outputs]
    assert said[0] == "('a.csv', ['b.csv', 'c.csv'], [], {'dpi': 40}, 'out.csv')"
    assert said[1] == f"{GIVEN['config']}\n"
    assert said[2] == f"{sys.executable} {os.getcwd()} False\n"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            "from testtime.errors import UserError\nraise UserError('table a.csv is not whole')",
            "table a.csv is not whole",
        ),
        ("1 / 0", "NOTEBOOK: ZeroDivisionError: division by zero"),
        ("assert False, 'one\\ntwo'", "NOTEBOOK: AssertionError: one two"),
    ],
)
def test_an_error_is_one_line_and_what_ran_before_is_kept(run, tmp_path, cell, message):
    executed = tmp_path / "results/notebooks/x.ipynb"
    with pytest.raises(UserError) as found:
        run("print('before')", cell, "print('after')")
    assert str(found.value) == message.replace("NOTEBOOK", str(executed))
    first, second, last = nbformat.read(executed, as_version=4).cells[1:]
    assert first.outputs[0]["text"] == "before\n"
    assert second.outputs[0]["output_type"] == "error"
    assert not last.outputs


def test_a_kernel_that_dies_is_one_line_too(run):
    with pytest.raises(UserError, match=r"x\.ipynb: its process has died"):
        run("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")


def test_its_process_ends_with_it(run):
    done = run("import os\nos.getpid()")
    (output,) = done.cells[-1].outputs
    with pytest.raises(ProcessLookupError):
        os.kill(int(output["data"]["text/plain"]), 0)


def test_a_full_disk_is_one_line_that_names_what_cannot_be_written(run, small_disk):
    table = small_disk / "notebooks/x.csv"
    cells = (
        "import pandas as pd\nfrom testtime.data.store import write_csv",
        "write_csv(pd.DataFrame({'x': range(10_000)}), snakemake.output[0])",
    )
    given = GIVEN | {"output": [str(table)]}
    full = "No space left on device.*$"  # one line: a dot is no end of line
    with pytest.raises(UserError, match=rf"^cannot write \S+x\.csv: {full}"):
        run(*cells, given=given)
    with pytest.raises(UserError, match=rf"^cannot write \S+x\.ipynb: {full}"):
        run("print('a' * 100_000)", executed=small_disk / "x.ipynb")
