"""Links inside the repository lead somewhere; every block says how it is tested."""

import re
import subprocess
import tomllib

import pytest
import yaml
from docs_pages import NOT_RUN, PAGES, ROOT, RUN, SHOWN, anchors, blocks, links

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
CARDS = sorted((ROOT / "workflow/resources").rglob("README.md"))


@pytest.mark.parametrize("page", [*PAGES, *CARDS], ids=lambda p: str(p.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page):
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


def test_every_page_is_in_the_table_of_contents():
    listed = set(links(ROOT / "docs/README.md"))
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= listed


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_block_says_how_it_is_tested(page):
    for block in blocks(page):
        assert block.info in RUN | NOT_RUN | SHOWN, f"{block.place}: {block.info!r}"
        if block.info == "yaml":
            yaml.safe_load(block.text)
        if block.info.startswith("bash"):
            checked = subprocess.run(
                ["bash", "-n"], input=block.text, text=True, capture_output=True, check=False
            )
            assert checked.returncode == 0, f"{block.place}: {checked.stderr}"


def test_what_pages_install_exists_and_is_what_the_gate_installs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = "".join(block.text for page in PAGES for block in blocks(page))
    wanted = {e for found in re.findall(r"'\.\[([\w,]+)\]'", text) for e in found.split(",")}
    assert "test" in wanted
    assert wanted <= set(project["optional-dependencies"])
    assert "pip install --quiet -e '.[test]'" in (ROOT / ".ci/run").read_text()
