"""`testtime solve`: a fitted lookup applied to new problems."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from testtime.cli.advise import LOOKUP
from testtime.cli.complete import engines, policies, prm_names
from testtime.data.store import write_jsonl
from testtime.engines.load import load_policy, load_prm
from testtime.errors import UserError
from testtime.grade.workers import Workers
from testtime.study import catalog
from testtime.study.catalog import ModelSpec
from testtime.study.layout import Layout
from testtime.study.types import Problem
from testtime.study.vocabulary import NONE, TEXT


def solve(
    file: Annotated[Path, typer.Argument(help='Lines {"problem_id": ..., "problem": ...}.')],
    *,
    policy: Annotated[str, typer.Option(help="A policy of the lookup.", autocompletion=policies)],
    budget: Annotated[int, typer.Option(help="N: most samples or candidates per problem.")],
    output: Annotated[Path, typer.Option(help="The same lines with answer and costs.")],
    prm: Annotated[
        str, typer.Option(help="A PRM of the lookup, or none.", autocompletion=prm_names)
    ] = NONE,
    probe: Annotated[
        bool | None,
        typer.Option(help="Draw samples to predict difficulty; by default if that promises more."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Dataset of the lookup; not needed if there is one.")
    ] = None,
    lookup: Annotated[Path, typer.Option(help="The study's lookup.")] = LOOKUP,
    seed: Annotated[int, typer.Option(help="Same seed, same answers.")] = 0,
    engine: Annotated[
        str | None, typer.Option(help=f"{' or '.join(catalog.ENGINES)}.", autocompletion=engines)
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
) -> None:
    """Answer new problems as the lookup advises, and say what was spent.

    Example: testtime solve problems.jsonl --policy micro-s --prm micro-prm-good --budget 16
    --output solved.jsonl
    """
    from testtime.cli.search import read_problems
    from testtime.fit.lookup import load
    from testtime.fit.plans import plan_for
    from testtime.solve.draw import Models
    from testtime.solve.run import solve as answer
    from testtime.solve.run import summary

    table = load(lookup)
    plan, predictor = plan_for(
        table, policy=policy, prm=prm, budget=budget, dataset=dataset, probe=probe
    )
    lines = read_problems(file)
    problems = [Problem(str(line["problem_id"]), line["problem"]) for line in lines]
    known = catalog.load()
    spec = _located(known.policy(policy), lookup, engine)
    if spec.samples is not None:
        raise UserError(f"policy {policy!r} was imported from {spec.samples}: no model to run")
    prm_spec = None if prm == NONE else _located(known.prm(prm), lookup, engine)
    convention = known.datasets.get(plan["dataset"])
    options = {"engine": "transformers", "threads": threads}
    models = Models(
        policy=load_policy(spec, beside=prm_spec, **options),
        spec=spec,
        prm=prm_spec and load_prm(prm_spec, beside=spec, **options),
        prm_spec=prm_spec,
        seed_parts=(seed, plan["dataset"], policy),
        convention=convention.convention if convention else "math",
        beam_width=table["fitted_on"]["beam_width"],
        ends_at=table["fitted_on"].get("paths_end_at", TEXT),
    )
    thresholds = table["fitted_on"]["difficulty"]
    with Workers() as workers:
        rows = answer(
            replace(models, workers=workers),
            problems,
            plan,
            predictor,
            easy=thresholds["easy"],
            hard=thresholds["hard"],
        )
    write_jsonl(
        (
            line | row | {"problem_id": line["problem_id"]}
            for line, row in zip(lines, rows, strict=True)
        ),
        output,
    )
    print(summary(rows, plan), file=sys.stderr)


def _located(spec: ModelSpec, lookup: Path, engine: str | None) -> ModelSpec:
    """The spec with its engine; a model that the study trained is in its results folder."""
    spec = replace(spec, engine=engine or spec.engine)
    trained = Path(Layout(str(lookup.parent)).path("model", name=spec.name))
    return replace(spec, model=str(trained.resolve())) if trained.is_dir() else spec
