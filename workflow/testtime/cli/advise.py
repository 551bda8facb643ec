"""`testtime advise`: what the fitted lookup says about a context."""

import json
from pathlib import Path
from typing import Annotated

import typer

from testtime.cli.complete import policies, prm_names
from testtime.errors import UserError
from testtime.study.layout import Layout

LOOKUP = Path(Layout("results").path("lookup"))


def advise(
    *,
    policy: Annotated[str, typer.Option(help="Name of the policy.", autocompletion=policies)],
    budget: Annotated[
        int | None, typer.Option(help="N: samples, or candidates of a search.")
    ] = None,
    tokens: Annotated[
        float | None, typer.Option(help="Instead of N: tokens to generate on a problem, at most.")
    ] = None,
    flops: Annotated[
        float | None, typer.Option(help="Instead of N: FLOPs to spend on a problem, at most.")
    ] = None,
    prm: Annotated[
        str,
        typer.Option(
            help="Available PRM; none for no PRM, any to choose among all.",
            autocompletion=prm_names,
        ),
    ] = "any",
    difficulty: Annotated[
        str | None, typer.Option(help="easy, medium, hard, q1 (easiest) .. q5, or all.")
    ] = None,
    pass_at_1: Annotated[
        float | None, typer.Option(help="Share of single samples that are right, 0 to 1.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Dataset it was fitted on; not needed if there is one.")
    ] = None,
    lookup: Annotated[Path, typer.Option(help="The study's lookup.")] = LOOKUP,
    only_json: Annotated[bool, typer.Option("--json", help="Print the JSON alone.")] = False,
) -> None:
    """Say how to spend a budget: the fitted lookup's strategy, in words and as JSON.

    Give --difficulty or --pass-at-1, or neither if nothing is known about the problem.

    Example: testtime advise --policy micro-s --prm micro-prm-good --budget 16 --pass-at-1 0.3
    """
    from testtime.fit.advise import cheaper, find, find_by_cost, level_of, words
    from testtime.fit.lookup import load

    if difficulty is not None and pass_at_1 is not None:
        raise UserError("give --difficulty or --pass-at-1, not both")
    if sum(given is not None for given in (budget, tokens, flops)) != 1:
        raise UserError("give one of --budget, --tokens and --flops")
    table = load(lookup)
    if pass_at_1 is not None:
        difficulty = level_of(table, pass_at_1)
    asked = {"policy": policy, "difficulty": difficulty or "all", "dataset": dataset}
    if budget is not None:
        context = find(table, prm=prm, budget=budget, **asked)
        less = cheaper(table, context)
    else:
        if prm != "any":
            raise UserError("--tokens and --flops choose among all PRMs; leave out --prm")
        axis, amount = ("policy_tokens", tokens) if tokens is not None else ("flops", flops)
        context, less = find_by_cost(table, axis=axis, amount=amount, **asked), None
    if not only_json:
        print("\n".join(words(context, less)) + "\n")
    print(json.dumps(context, indent=1, sort_keys=True, ensure_ascii=False))
