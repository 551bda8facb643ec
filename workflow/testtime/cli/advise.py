"""`testtime advise`: which policy to use, and how to spend, from a fitted lookup."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from testtime.cli.complete import policies, prm_names
from testtime.cli.rates import measured_entries
from testtime.errors import UserError
from testtime.study.layout import Layout

LOOKUP = Path(Layout("results").path("lookup"))
IMAGES = (".pdf", ".png", ".svg")


def advise(
    *,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="A policy to choose, of several; all by default.", autocompletion=policies
        ),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="N: samples, or candidates of a search, at most.")
    ] = None,
    tokens: Annotated[
        float | None, typer.Option(help="Or tokens to generate on a problem, at most.")
    ] = None,
    flops: Annotated[
        float | None, typer.Option(help="Or FLOPs to spend on a problem, at most.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Or seconds to take for a problem, at most.")
    ] = None,
    latency: Annotated[
        float | None,
        typer.Option(help="Or seconds until the answer, the GPU working on it alone, at most."),
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="Accuracy to reach at the least cost, 0 to 1.")
    ] = None,
    currency: Annotated[
        str | None,
        typer.Option(
            help="Of a target without a limit: flops (default), tokens, seconds, latency, budget."
        ),
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
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=NUMBER: tokens per second of a policy or PRM; NUMBER for the only --policy."
        ),
    ] = None,
    rates_from: Annotated[
        Path | None,
        typer.Option(help="Results whose logs, or file of a probe, that tell measured rates."),
    ] = None,
    lookup: Annotated[Path, typer.Option(help="The study's lookup.")] = LOOKUP,
    figure: Annotated[
        Path | None,
        typer.Option(help=f"Draw accuracy against cost to this file ({', '.join(IMAGES)})."),
    ] = None,
    only_json: Annotated[bool, typer.Option("--json", help="Print the JSON alone.")] = False,
) -> None:
    """Say which policy to use and how to spend a budget, in words and as JSON.

    The budget is N, or tokens, FLOPs, seconds or latency of a problem in the mean; or the cheapest
    way to a --target is looked for. Give --difficulty or --pass-at-1, or neither if nothing is
    known about the problem.

    Example: testtime advise --policy micro-s --prm micro-prm-good --budget 16 --pass-at-1 0.3
    """
    from testtime.fit.advise import Question, study_rates, words
    from testtime.fit.advise import advise as answer
    from testtime.fit.lookup import level_of, load

    if difficulty is not None and pass_at_1 is not None:
        raise UserError("give --difficulty or --pass-at-1, not both")
    if figure is not None and figure.suffix not in IMAGES:
        raise UserError(f"figure {figure}: allowed are {', '.join(IMAGES)}")
    limits = {"budget": budget, "tokens": tokens, "flops": flops}
    limits |= {"seconds": seconds, "latency": latency}
    chosen, limit = _currency(limits, currency, target)
    table = load(lookup)
    if pass_at_1 is not None:
        difficulty = level_of(table, pass_at_1)
    names = policy or []
    measured = {} if rates_from is None else _measured(rates_from, study_rates(table))
    question = Question(
        currency=chosen,
        limit=limit,
        target=target,
        policies=names,
        prm=prm,
        difficulty=difficulty or "all",
        dataset=dataset,
        rates=measured | _given_rates(rate or [], names),
    )
    found = answer(table, question)
    if figure is not None:
        from testtime.present.figures import advice, style

        data = advice.data(table, question, found)
        style.save(data, advice.draw, images=[figure])
    if not only_json:
        print("\n".join(words(found)) + "\n")
    print(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False))


def _currency(
    limits: Mapping[str, float | None], currency: str | None, target: float | None
) -> tuple[str, float | None]:
    """The currency, and the most of it that may be spent."""
    given = {name: limit for name, limit in limits.items() if limit is not None}
    options = ", ".join(f"--{name}" for name in limits)
    if len(given) > 1 or (not given and target is None):
        raise UserError(f"give one of {options}{'' if given else ', or --target'}")
    if not given:
        return currency or "flops", None
    ((name, limit),) = given.items()
    if currency not in (None, name):
        raise UserError(f"--{name} is a limit in {name}: --currency {currency} is another one")
    return name, limit


def _measured(place: Path, known: Collection[str]) -> dict[str, float]:
    """Rates that logs tell of these models."""
    entries = [item for kind in measured_entries(place).values() for item in kind.items()]
    rates = {name: entry["rate"] for name, entry in entries if name in known}
    if not rates:
        measured = ", ".join(name for name, _ in entries)
        raise UserError(
            f"--rates-from {place}: it measured {measured}; the lookup has {', '.join(known)}"
        )
    return rates


def _given_rates(rates: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """Rates of the command line by model."""
    found = {}
    for rate in rates:
        name, _, number = rate.rpartition("=")
        if not name and len(names) == 1:
            name = names[0]
        try:
            value = float(number)
        except ValueError:
            name = ""
        if not name:
            raise UserError(f"--rate {rate}: allowed are NAME=NUMBER, or NUMBER with one --policy")
        found[name] = value
    return found
