"""`testtime sweep`: what no study needs any more is deleted from the store of rows."""

from pathlib import Path
from typing import Annotated

import typer

from testtime.cli.check import config_study, print_table
from testtime.errors import UserError


def sweep(
    config: Annotated[
        list[Path] | None, typer.Argument(help="As --configfile; on top of config.yaml.")
    ] = None,
    *,
    also: Annotated[
        list[Path] | None,
        typer.Option(help="Config of another study with the same store, whose rows stay."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only say what would be deleted.")
    ] = False,
) -> None:
    """Delete rows of samples, scores and searches that follow settings of before.

    The store keeps every row that was computed, so that a setting can be changed back at no cost.
    Rows of other studies with the same store are deleted too, unless --also names them.

    Example: testtime sweep --dry-run
    """
    from testtime.data import places
    from testtime.data import sweep as store  # pandas and the rest take a second to import
    from testtime.runtime.lock import hold

    study = config_study(config)
    others = [config_study([path]) for path in also or []]
    for path, other in zip(also or [], others, strict=True):
        if places.resolved(other.store) != places.resolved(study.store):
            raise UserError(
                f"--also {path}: its rows are in {other.store}; allowed: a study with rows in "
                f"{study.store}"
            )
    stamps = store.needed(study, *others)
    unneeded = [cell for cell in store.held(study, stamps) if cell.unneeded]
    if not unneeded:
        print("every row is needed")
        return
    head = ("stage", "cell", "size", "not needed")
    rows = [(c.stage, c.cell, f"{c.size / 1e6:.1f} MB", f"{c.unneeded:.0%}") for c in unneeded]
    print_table([head, *rows])
    if not dry_run:
        for results in {places.resolved(own.config["results"]) for own in (study, *others)}:
            hold(results)
        print(f"{store.sweep(study, stamps) / 1e6:.1f} MB freed")
