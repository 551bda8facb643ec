"""`testtime fleet`: a study on GPUs that one does not have, replayed on paper."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer
import yaml

from testtime.cli.advise import IMAGES
from testtime.cli.check import config_study, print_table
from testtime.cli.dag import Job, study_jobs
from testtime.cli.rates import measured_entries
from testtime.errors import UserError
from testtime.sample import AT_ONCE
from testtime.score import CHUNK
from testtime.search.scheduler import MAX_ROWS
from testtime.study.catalog import ENGINES
from testtime.study.fleet import (
    FAILED,
    HOUR,
    PREEMPTED,
    Fleet,
    Replay,
    Task,
    longest_chain,
    lower_bound,
)
from testtime.study.layout import ROOT
from testtime.study.replay import replay
from testtime.study.study import Study

GPUS = (8, 64, 512)
PROFILE = ROOT / "profiles/slurm/config.yaml"
LEAST_SHOWN = 0.05  # hours of a job in a chain
NOTICED_S = 40.0  # between two of the Slurm plugin's looks at the queue


def fleet(
    config: Annotated[
        list[Path] | None, typer.Argument(help="As --configfile; on top of config.yaml.")
    ] = None,
    *,
    gpus: Annotated[
        list[int] | None,
        typer.Option(help="GPUs, in nodes of eight; several times for several fleets.", min=1),
    ] = None,
    failures: Annotated[
        float, typer.Option(help="Failures of a job, per GPU and hour.", min=0)
    ] = 2e-5,
    preemptions: Annotated[
        float, typer.Option(help="Preemptions of a node, per node and hour.", min=0)
    ] = 0.1,
    away: Annotated[float, typer.Option(help="Hours until a preempted node is back.", min=0)] = 1.0,
    price: Annotated[float, typer.Option(help="Of a GPU for an hour.", min=0)] = 2.5,
    jobs: Annotated[
        int | None, typer.Option(help="Most jobs in the queue; as the Slurm profile by default.")
    ] = None,
    runs: Annotated[int, typer.Option(help="Replays with other faults, for means.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Of the faults.")] = 0,
    as_configured: Annotated[
        bool,
        typer.Option("--as-configured", help="Keep jobs: fleet; else it is each fleet's GPUs."),
    ] = False,
    rates_from: Annotated[
        Path | None,
        typer.Option(help="Results whose logs, or file of a probe, that tell measured rates."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(help=f"Draw GPUs over time to this file ({', '.join(IMAGES)})."),
    ] = None,
    only_json: Annotated[bool, typer.Option("--json", help="Print the JSON alone.")] = False,
) -> None:
    """Replay a study on fleets of GPUs: hours, idle GPUs, work redone after faults, and cost.

    Runs nothing: the jobs are Snakemake's, their times those of testtime plan. Rows are kept as
    they are in a study's store; what faults would cost without it is said beside.

    Example: testtime fleet workflow/studies/paper.yaml --gpus 8 --gpus 64 --gpus 512
    """
    if figure is not None and figure.suffix not in IMAGES:
        raise UserError(f"figure {figure}: allowed are {', '.join(IMAGES)}")
    study = config_study(config, {} if rates_from is None else measured_entries(rates_from))
    own = Fleet(
        gpus=1,
        jobs=jobs or yaml.safe_load(PROFILE.read_text(encoding="utf-8"))["jobs"],
        noticed_s=NOTICED_S,
        failures=failures,
        preemptions=preemptions,
        away_s=away * HOUR,
    )
    told, shown = [], []
    for size in gpus or GPUS:
        tasks = tasks_of(study if as_configured else _cut_for(study, size))
        runs_of = partial(_replays, tasks, replace(own, gpus=size), range(seed, seed + runs))
        kept = runs_of(store=True)
        told.append(_tell(kept, runs_of(store=False), price))
        shown.append(kept[0])
    if figure is not None:
        from testtime.present.figures import fleet as drawn
        from testtime.present.figures import style

        style.save(drawn.data(shown), drawn.draw, images=[figure])
    if only_json:
        print(json.dumps(told, indent=1))
        return
    print_table([COLUMNS, *map(_row, told)])
    for facts in told:
        chain = facts["longest_chain"]
        words = ", ".join(f"{stage} {hours:.1f}" for stage, hours in chain if hours >= LEAST_SHOWN)
        total = sum(hours for _, hours in chain)
        print(f"{facts['gpus']} GPUs: the longest chain of jobs takes {total:.1f} h ({words})")


def _cut_for(study: Study, gpus: int) -> Study:
    """The study with jobs as long as suits a fleet."""
    jobs = study.config["jobs"] | {"fleet": gpus}
    return replace(study, config=study.config | {"jobs": jobs})


def tasks_of(study: Study) -> list[Task]:
    """The jobs of a study as a fleet sees them.

    Raises:
        UserError: Snakemake cannot plan the study, or no job needs a GPU.
    """
    most = study.config["jobs"]["max_hours"]
    tasks = [
        Task(
            name=job.stage,
            seconds=job.work.seconds,
            start_seconds=job.work.start_seconds,
            gpus=job.work.gpus,
            priority=job.priority,
            waits_for=job.waits_for,
            local=job.local,
            kept_seconds=job.work.seconds * _in_flight(study, job),
            limit_seconds=60 * job.work.minutes(1, most),
        )
        for job in study_jobs(study)
    ]
    if not any(task.gpus for task in tasks):
        raise UserError("no job of this study needs a GPU: testtime plan says what it takes")
    return tasks


def _in_flight(study: Study, job: Job) -> float:
    """Share of a job's solutions that it works on at once, and loses with a fault."""
    match job.rule:
        case "sample_pool":
            dataset, policy, shard = (job.wildcards[n] for n in ("dataset", "policy", "shard"))
            drawn = sum(study.block_samples(policy, b) for b in study.all_blocks(policy))
            engine = ENGINES[study.engine(study.catalog.policy(policy))]
            at_once = max(AT_ONCE, engine.sequences)
            solutions = drawn * study.n_problems(dataset, shard)
        case "score_pool":
            dataset, policy, shard = (job.wildcards[n] for n in ("dataset", "policy", "shard"))
            at_once = CHUNK
            solutions = study.pool_budgets(policy)[-1] * study.n_problems(dataset, shard)
        case "search_trees":
            at_once, solutions = MAX_ROWS, job.work.paths
        case _:
            return 1.0
    return min(1.0, at_once / solutions)


def _replays(tasks: Sequence[Task], fleet: Fleet, seeds: range, *, store: bool) -> list[Replay]:
    return [replay(tasks, replace(fleet, store=store), seed) for seed in seeds]


def _tell(kept: Sequence[Replay], lost: Sequence[Replay], price: float) -> dict:
    """What a fleet takes, as means over replays; `lost` are those without a store."""
    tasks, gpus = kept[0].tasks, kept[0].fleet.gpus
    hours = fmean(own.makespan_s for own in kept) / HOUR
    work = sum(task.gpus * task.whole for task in tasks) / HOUR
    chain = [tasks[index] for index in longest_chain(tasks)]
    return {
        "gpus": gpus,
        "jobs": len(tasks),
        "hours": hours,
        "least_hours": lower_bound(tasks, gpus) / HOUR,
        "planned_gpu_hours": work,
        "gpu_hours": fmean(own.busy_s for own in kept) / HOUR,
        "idle": fmean(own.idle for own in kept),
        "failures": fmean(own.faults(FAILED) for own in kept),
        "preemptions": fmean(own.faults(PREEMPTED) for own in kept),
        "redone_gpu_hours": fmean(own.redone_s for own in kept) / HOUR,
        "cost": price * fmean(own.held_s for own in kept) / HOUR,
        "without_store": {
            "hours": fmean(own.makespan_s for own in lost) / HOUR,
            "redone_gpu_hours": fmean(own.redone_s for own in lost) / HOUR,
        },
        "longest_chain": [(task.name, task.whole / HOUR) for task in chain],
    }


COLUMNS = ("GPUs", "jobs", "hours", "at least", "GPU-hours", "idle", "failed", "preempted")
COLUMNS += ("redone", "cost", "without store: hours", "redone")


def _row(facts: dict) -> tuple[str, ...]:
    without = facts["without_store"]
    return (
        str(facts["gpus"]),
        str(facts["jobs"]),
        f"{facts['hours']:.1f}",
        f"{facts['least_hours']:.1f}",
        f"{facts['gpu_hours']:,.0f}",
        f"{facts['idle']:.0%}",
        f"{facts['failures']:.1f}",
        f"{facts['preemptions']:.0f}",
        f"{facts['redone_gpu_hours']:.1f} GPU-h",
        f"{facts['cost']:,.0f}",
        f"{without['hours']:.1f}",
        f"{without['redone_gpu_hours']:.1f} GPU-h",
    )
