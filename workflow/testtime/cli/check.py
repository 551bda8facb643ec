"""`testtime check`: whether a study can run, before hours are spent on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testtime.study.config import read, validate
from testtime.study.study import Study

if TYPE_CHECKING:
    from testtime.cli.checks import Line


def check(
    config: Annotated[
        list[Path] | None, typer.Argument(help="As --configfile; on top of config.yaml.")
    ] = None,
    *,
    elsewhere: Annotated[
        bool,
        typer.Option(help="Jobs run on other machines: leave out this one's GPUs and engines."),
    ] = False,
    probe: Annotated[
        bool,
        typer.Option(help="Load every model, score its card's example, sample and search."),
    ] = False,
) -> None:
    """Check every model, dataset and resource of a study; no weights are loaded without --probe.

    A probe takes a few minutes for each model. The rates that it measures are in
    RESULTS/logs/probe, for testtime plan --rates-from RESULTS.

    Exit status 2 if anything is wrong. Example: testtime check workflow/studies/one-gpu.yaml
    """
    from testtime.cli.checks import check_study  # transformers takes seconds to import

    study = config_study(config)
    lines = check_study(study, here=not elsewhere)
    print_table(
        [(line.role, line.name, line.place, line.revision, _verdict(line)) for line in lines]
    )
    wrong = [line for line in lines if line.problem]
    for line in wrong:
        print(f"error: {line.role} {line.name}: {line.problem}", file=sys.stderr)
    if wrong:
        raise typer.Exit(2)
    if probe and not _probe(study):
        raise typer.Exit(2)


def _probe(study: Study) -> bool:
    """Print what a probe says of each model, as it comes; returns whether nothing is wrong."""
    from testtime.cli.probe import probe

    sound = True
    for verdict in probe(study):
        print(f"{verdict.role} {verdict.name}: {'WRONG' if verdict.problems else 'ok'}")
        for line in (*verdict.problems, *verdict.notes):
            print(f"  {line}", flush=True)
        sound = sound and not verdict.problems
    return sound


def _verdict(line: Line) -> str:
    if line.problem:
        return "WRONG"
    fetch = f"{line.to_fetch / 1e9:.1f} GB to fetch" if line.to_fetch else ""
    return ", ".join(filter(None, ["ok", line.note, fetch]))


def config_study(config: list[Path] | None, entries: dict[str, dict] | None = None) -> Study:
    """The study of config.yaml with the files on top of it, and changes of catalog entries."""
    merged = read(*(config or []))
    for kind, changed in (entries or {}).items():
        known = merged["catalog"].get(kind) or {}
        # What the study does not know is another one's.
        of_study = {name: entry for name, entry in changed.items() if name in merged[kind]}
        merged["catalog"][kind] = known | {
            name: known.get(name, {}) | entry for name, entry in of_study.items()
        }
    return Study(merged, validate(merged))


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Columns of text, each as wide as necessary."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
