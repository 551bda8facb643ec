"""`testtime plan`: what a study will take, before anything runs."""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from testtime.cli.check import config_study, print_table
from testtime.cli.forecast import Stage, forecast
from testtime.cli.rates import measured_entries
from testtime.compare.extrapolation import NEXT, next_budget
from testtime.data.store import read_csv
from testtime.study.study import Study


def plan(
    config: Annotated[
        list[Path] | None, typer.Argument(help="As --configfile; on top of config.yaml.")
    ] = None,
    *,
    jobs: Annotated[int, typer.Option(help="Jobs that run at once.", min=1)] = 1,
    rates_from: Annotated[
        Path | None,
        typer.Option(help="Results whose logs, or file of a probe, that tell measured rates."),
    ] = None,
) -> None:
    """Print jobs, hours, model starts, GPU-hours, tokens and disk of a study, stage by stage.

    Counts the jobs that Snakemake would run for the whole study, including those whose output
    exists already, at the catalog's lengths, and at its rates or what its GPUs should do. Measured
    rates are printed as they may stand in a config. Where the study has been run, says whether more
    samples are expected to pay.

    Example: testtime plan workflow/studies/paper.yaml
    """
    measured = {} if rates_from is None else measured_entries(rates_from)
    study = config_study(config, measured)
    stages = forecast(study)
    head = ("stage", "jobs", "hours", "GPU-hours", "longest job", "model starts", "starting")
    head += ("policy tokens", "PRM tokens")
    print_table([(*head, "disk"), *map(_row, stages)])
    total = stages[-1]
    wall = max(total.longest_s, total.seconds / jobs)
    if measured:
        print(yaml.safe_dump({"catalog": measured}, sort_keys=False))
    _say_next(study)
    print(f"about {_hours(wall)} hours with {jobs} jobs at once (--jobs), waiting not counted")


def _say_next(study: Study) -> None:
    """Whether the next larger budget pays, by the results' forecasts; nothing without them."""
    table, margin = (
        Path(study.layout.path("table", table="forecast")),
        study.config["claim"]["margin"],
    )
    rows = next_budget(read_csv(table), study.cells(), margin) if table.is_file() else []
    if rows:
        print(f"\n{NEXT} times as many samples, extrapolated from those of {study.layout.results}:")
        head = ("dataset", "policy", "method", "N", "expected gain in points")
        print_table([(*head, f"{100 * margin:g} or more?"), *map(_gain, rows)])
        print()


def _gain(row: dict) -> tuple[str, ...]:
    gain, low, high = (f"{100 * row[name]:+.1f}" for name in ("gain", "gain_low", "gain_high"))
    names = row["dataset"], row["policy"], row["method"], f"{row['k']:.0f}"
    return *names, f"{gain} ({low} to {high})", row["pays"]


def _row(stage: Stage) -> tuple[str, ...]:
    return (
        stage.name,
        str(stage.jobs),
        _hours(stage.seconds),
        _hours(stage.gpu_seconds),
        f"{stage.longest_s / 60:.0f} min",
        str(stage.starts or "-"),
        f"{stage.start_seconds / 60:,.1f} min" if stage.starts else "-",
        _tokens(stage.policy_tokens),
        _tokens(stage.prm_tokens),
        f"{stage.size / 1e9:.2f} GB",
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.2f}" if seconds < 36_000 else f"{seconds / 3600:,.0f}"


def _tokens(count: float) -> str:
    return f"{count / 1e6:,.1f} M" if count else "-"
