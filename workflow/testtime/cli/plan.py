"""`testtime plan`: what a study will take, before anything runs."""

from pathlib import Path
from typing import Annotated

import typer

from testtime.cli.check import config_study, print_table
from testtime.cli.forecast import Stage, forecast


def plan(
    config: Annotated[
        list[Path] | None, typer.Argument(help="As --configfile; on top of config.yaml.")
    ] = None,
    *,
    jobs: Annotated[int, typer.Option(help="Jobs that run at once.", min=1)] = 1,
) -> None:
    """Print jobs, hours, model starts, GPU-hours, tokens and disk of a study, stage by stage.

    Counts the jobs that Snakemake would run for the whole study, including those whose output
    exists already, at the catalog's rates and lengths.

    Example: testtime plan workflow/studies/paper.yaml
    """
    stages = forecast(config_study(config))
    head = ("stage", "jobs", "hours", "GPU-hours", "longest job", "model starts", "starting")
    head += ("policy tokens", "PRM tokens")
    print_table([(*head, "disk"), *map(_row, stages)])
    total = stages[-1]
    wall = max(total.longest_s, total.seconds / jobs)
    print(f"about {_hours(wall)} hours with {jobs} jobs at once (--jobs), waiting not counted")


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
