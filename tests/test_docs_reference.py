"""The reference in docs/ says what the schemas, the defaults and the registries say."""

import pytest
import yaml
from testtime.cli.reference import BEGIN, PARTS, config_table, method_table, renewed
from testtime.study.methods import METHODS


def leaves(value: dict, prefix: str = ""):
    for key, part in value.items():
        if isinstance(part, dict) and part:
            yield from leaves(part, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_generated_parts_are_up_to_date(root):
    for page in sorted((root / "docs").glob("*.md")):
        text = page.read_text()
        assert renewed(text) == text, f"{page.name} is outdated: python -m testtime.cli.reference"


@pytest.mark.parametrize("part", PARTS)
def test_every_part_stands_on_one_page(root, part):
    pages = [p for p in (root / "docs").glob("*.md") if BEGIN.format(part) in p.read_text()]
    assert len(pages) == 1


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
