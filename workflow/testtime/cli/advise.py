"""`testtime advise`: what the fitted lookup says about a context."""

import json
from pathlib import Path
from typing import Annotated

import typer

from testtime.errors import UserError
from testtime.fit.cells import describe
from testtime.fit.lookup import find, level_of, load


def advise(
    *,
    policy: Annotated[str, typer.Option(help="Name of the policy.")],
    budget: Annotated[int, typer.Option(help="N: samples, or candidates of a search.")],
    prm: Annotated[
        str, typer.Option(help="PRM at hand; none without one, any to be told which.")
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
    lookup: Annotated[Path, typer.Option(help="The study's lookup.")] = Path("results/lookup.json"),
    only_json: Annotated[bool, typer.Option("--json", help="Print the JSON alone.")] = False,
) -> None:
    """Say how to spend a budget: the fitted lookup's strategy, in words and as JSON.

    Give --difficulty or --pass-at-1, or neither where nothing is known of the problem.

    Example: testtime advise --policy micro-s --prm micro-prm-good --budget 16 --pass-at-1 0.3
    """
    if difficulty is not None and pass_at_1 is not None:
        raise UserError("give --difficulty or --pass-at-1, not both")
    table = load(lookup)
    if pass_at_1 is not None:
        difficulty = level_of(table, pass_at_1)
    context = find(
        table,
        policy=policy,
        prm=prm,
        budget=budget,
        difficulty=difficulty or "all",
        dataset=dataset,
    )
    if not only_json:
        print("\n".join(words(context, cheaper(table, context))) + "\n")
    print(json.dumps(context, indent=1, sort_keys=True, ensure_ascii=False))


def cheaper(table: dict, context: dict) -> dict | None:
    """The smallest budget at which the same context promises at least the same, spending less."""
    keys = ("dataset", "policy", "prm", "difficulty")
    if context["accuracy"] is None:
        return None
    for other in table["contexts"]:  # by budget within equal keys
        same = all(other[key] == context[key] for key in keys)
        less = other["strategy"]["budget"] < context["strategy"]["budget"]
        if same and less and (other["accuracy"] or 0.0) >= context["accuracy"]:
            return other
    return None


def words(context: dict, less: dict | None = None) -> list[str]:
    """The advice as sentences."""
    support, strategy = context["support"], context["strategy"]
    prm = {"any": "any PRM", "none": "no PRM"}.get(context["prm"], f"PRM {context['prm']}")
    lines = [
        f"{context['policy']} on {context['dataset']}, {prm}, N = {context['budget']}, "
        f"{context['difficulty']} problems:",
        f"use {describe(strategy)}.",
    ]
    if context["accuracy"] is None:
        lines.append(
            "The study had no problem of this difficulty: this is the choice over all problems."
        )
        return lines
    lines.append(
        f"Expected accuracy {percent(context['accuracy'])} "
        f"({percent(context['ci_low'])} to {percent(context['ci_high'])}), cross-fitted on "
        f"{support['n_problems']} problems; {support['folds_agreeing']} of {support['folds']} "
        "fold-wise choices agree."
    )
    if support["pooled"]:
        lines.append("Too few problems of this difficulty: this is the choice over all problems.")
    cost = context["cost"]
    if cost["flops"] is not None:
        lines.append(
            f"Cost per problem: {cost['policy_tokens']:,.0f} generated tokens, "
            f"{cost['prm_tokens']:,.0f} tokens read by the PRM, {cost['flops']:.3g} FLOPs."
        )
    if less is not None:
        lines.append(
            f"N = {less['budget']} promises no less ({percent(less['accuracy'])}): "
            f"{describe(less['strategy'])}."
        )
    return lines


def percent(value: float) -> str:
    """A proportion as a percentage with one decimal."""
    return f"{100 * value:.1f} %"
