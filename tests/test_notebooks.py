"""The notebooks as committed: readable, without outputs, code that Python can read."""

import ast
import json

import pytest

NAMES = ("one_problem", "compute_optimal", "published")


@pytest.fixture(params=NAMES)
def cells(request, root):
    return json.loads((root / f"notebooks/{request.param}.ipynb").read_text())["cells"]


def test_every_notebook_is_known_and_has_a_rule(root):
    assert {path.stem for path in (root / "notebooks").glob("*.ipynb")} == set(NAMES)
    rules = (root / "workflow/rules/present.smk").read_text()
    assert all(f"notebooks/{name}.ipynb" in rules for name in NAMES)


def test_committed_notebooks_carry_no_outputs(cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


def test_code_cells_are_short_and_explained(cells):
    assert cells[0]["cell_type"] == "markdown"
    for cell in cells:
        if cell["cell_type"] == "code":
            ast.parse("".join(cell["source"]))
            assert len(cell["source"]) <= 30
    words = sum(cell["cell_type"] == "markdown" for cell in cells)
    assert words >= sum(cell["cell_type"] == "code" for cell in cells) / 2
