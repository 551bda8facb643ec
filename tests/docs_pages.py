"""Reading the documentation: its fenced blocks, links and headings.

How a block is tested is said behind its language, where Markdown shows nothing:

    ```bash              run, in the order of the page
    ```bash study        runs a whole study: here Snakemake only plans it
    ```bash install      run by .ci/run, which installs the project
    ```bash gpu          needs a GPU, a cluster or another checkout: checked for its syntax
    ```console           run line by line ("$ "), the output compared; "..." stands for any lines
    ```console example   run, the output differs from study to study
    ```python            run
    ```diff              applied with git
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The order in which a reader meets them; pages that Snakemake or a card needs are not prose.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = {"bash", "bash study", "console", "console example", "python", "diff"}
NOT_RUN = {"bash install", "bash gpu"}
SHOWN = {"", "text", "yaml"}  # not commands


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, first line's number, info string and content."""

    page: Path
    line: int
    info: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, those inside lists unindented."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        found = re.match(r"^( *)```(.*)$", lines[number])
        number += 1
        if not found:
            continue
        indent, info = found.groups()
        start = number
        while lines[number].strip() != "```":
            number += 1
        text = "\n".join(line.removeprefix(indent) for line in lines[start:number])
        yield Block(page, start, info.strip(), text + "\n")
        number += 1


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with its output."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def links(page: Path) -> Iterator[str]:
    """Targets of the page's links and pictures, code left out."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    text = re.sub(r"`[^`]*`", "", text)
    yield from re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as hubs of Git make them."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = re.findall(r"^#+ +(.+?) *$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
