"""The command line: one file per subcommand, each a thin layer over the package."""

import sys
from importlib.metadata import version

import typer

from testtime.cli.advise import advise
from testtime.cli.check import check
from testtime.cli.crate import crate
from testtime.cli.fleet import fleet
from testtime.cli.grade import grade
from testtime.cli.plan import plan
from testtime.cli.score import score
from testtime.cli.search import search
from testtime.cli.solve import solve
from testtime.cli.sweep import sweep
from testtime.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
PANELS = {
    "A study to be run": (check, plan, fleet),
    "Models and answers": (grade, score, search),
    "A finished study": (advise, solve, sweep, crate),
}
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"testtime {version('testtime')}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", is_eager=True, callback=_print_version
    ),
) -> None:
    """Compute-optimal test-time scaling: check, plan, score, search, advise, and more."""


def main() -> None:
    """Run a command; an error that the user can fix is one line and exit status 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
