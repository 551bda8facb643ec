"""README and docs/ say what the schemas, the defaults, the registries and the default study say."""

import shutil

import pytest
import yaml
from testtime.cli.reference import BEGIN, PARTS, config_table, method_table, pages, renewed
from testtime.cli.showcase import FIGURES, KEPT, adopt, figure_data
from testtime.data.store import read_csv, write_csv
from testtime.errors import UserError
from testtime.study.methods import METHODS


def leaves(value: dict, prefix: str = ""):
    for key, part in value.items():
        if isinstance(part, dict) and part and key != "per_policy":  # its keys are names
            yield from leaves(part, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_generated_parts_are_up_to_date():
    """README's results too: the kept outcomes of the default study are analysed again."""
    for page in pages():
        text = page.read_text()
        assert renewed(text) == text, f"{page.name} is outdated: python -m testtime.cli.reference"


@pytest.mark.parametrize("part", PARTS)
def test_every_part_stands_on_one_page(part):
    assert len([page for page in pages() if BEGIN.format(part) in page.read_text()]) == 1


@pytest.mark.parametrize("name", FIGURES)
def test_readmes_figures_are_of_what_the_outcomes_say_now(root, tmp_path, name):
    write_csv(figure_data(name), tmp_path / "data.csv")
    now, drawn = read_csv(tmp_path / "data.csv"), read_csv(root / f"docs/figures/{name}.csv")
    assert now.equals(drawn), f"{name} is outdated: testtime.cli.reference RESULTS"


def test_another_folder_is_not_taken_for_the_default_studys_results(tmp_path):
    with pytest.raises(UserError, match="not a finished default study: it has no "):
        adopt(tmp_path)


def test_results_of_other_settings_are_not_taken_for_the_default_studys(root, tmp_path):
    """Files as kept, of a study whose records say another seed."""
    shutil.copytree(KEPT, tmp_path, dirs_exist_ok=True)
    for name in FIGURES:
        for file in (f"figures/{name}.png", f"figures/data/{name}.csv"):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
    before = sorted(KEPT.rglob("*"))
    with pytest.raises(UserError, match=r"followed other settings \(.*decided"):
        adopt(tmp_path)
    assert sorted(KEPT.rglob("*")) == before


def test_every_key_of_the_config_is_explained(root):
    table = config_table()
    for key in leaves(yaml.safe_load((root / "config.yaml").read_text())):
        (row,) = [line for line in table.splitlines() if line.startswith(f"| `{key}` |")]
        assert all(cell.strip() for cell in row.strip("|").split(" | ")), row


def test_every_method_is_explained():
    table = method_table()
    assert all(f"| `{name}` |" in table for name in METHODS)


def test_a_wrong_default_is_put_right():
    page = f"before\n{BEGIN.format('config')}old<!-- end -->\nafter\n"
    new = renewed(page)
    assert new.startswith("before\n")
    assert new.endswith("<!-- end -->\nafter\n")
    assert "| `beam_width` | `4` | integer ≥ 2 |" in new
