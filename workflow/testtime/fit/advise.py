"""What a lookup says about a context: its entry, its plan, its advice in words.

An unknown context is an error that lists the known ones.
"""

from collections.abc import Sequence

from testtime.errors import UserError
from testtime.evaluate.difficulty import levels
from testtime.fit.cells import describe
from testtime.fit.plans import best_plan
from testtime.fit.select import KEYS
from testtime.study.vocabulary import ALL, ANY, NONE

# Amounts of the axes of cost.
UNITS = {
    "policy_tokens": "{:,.0f} generated tokens",
    "flops": "{:.3g} FLOPs",
    "seconds": "{:.3g} s",
}


def find(
    table: dict, *, policy: str, prm: str, budget: int, difficulty: str, dataset: str | None = None
) -> dict:
    """The entry of a context.

    Args:
        table: of `lookup.load`.
        policy: its name in the study.
        prm: a PRM's name, "none" or "any".
        budget: N.
        difficulty: "all", a level or a quantile.
        dataset: may be left out where the lookup knows only one.

    Raises:
        UserError: the context is unknown; names the first unknown key and its known values.
    """
    known = table["contexts"]
    if dataset is None:
        datasets = _values(known, "dataset")
        if len(datasets) > 1:
            raise UserError(f"dataset must be given; known: {', '.join(datasets)}")
        dataset = datasets[0] if datasets else ""
    wanted = {
        "dataset": dataset,
        "policy": policy,
        "prm": prm,
        "budget": budget,
        "difficulty": difficulty,
    }
    return _narrowed(known, wanted)[0]


def _narrowed(known: list[dict], wanted: dict) -> list[dict]:
    """The entries with all of these values; the first that none has is an error."""
    given = ""
    for key, value in wanted.items():
        found = [entry for entry in known if entry[key] == value]
        if not found:
            raise UserError(
                f"{key} {value!r} is not in the lookup{f' for {given}' if given else ''}; "
                f"known: {', '.join(_values(known, key)) or 'none'}"
            )
        given, known = f"{given}, {key} {value}".removeprefix(", "), found
    return known


def find_by_cost(
    table: dict,
    *,
    policy: str,
    axis: str,
    amount: float,
    difficulty: str,
    dataset: str | None = None,
) -> dict:
    """The entry of the most that may be spent, of all amounts that were fitted.

    Args:
        table: of `lookup.load`.
        policy: its name in the study.
        axis: "policy_tokens", "flops" or "seconds".
        amount: most of these on a problem, in the mean.
        difficulty: "all" or a level.
        dataset: may be left out where the lookup knows only one.

    Raises:
        UserError: the context is unknown, or everything costs more.
    """
    wanted = {"axis": axis, "policy": policy, "difficulty": difficulty}
    wanted |= {} if dataset is None else {"dataset": dataset}
    known = _narrowed(table["by_cost"], wanted)
    datasets = _values(known, "dataset")
    if len(datasets) > 1:
        raise UserError(f"dataset must be given; known: {', '.join(datasets)}")
    within = [entry for entry in known if entry["amount"] <= amount]
    if not within:
        least = min(entry["amount"] for entry in known)
        raise UserError(f"{axis} {amount:g} is too little for {policy}; allowed: {least:g} or more")
    return max(within, key=lambda entry: entry["amount"])


def plan_for(
    table: dict,
    *,
    policy: str,
    prm: str,
    budget: int,
    dataset: str | None = None,
    probe: bool | None = None,
) -> tuple[dict, dict | None]:
    """The plan for new problems and, if it draws samples first, the predictor it needs.

    Args:
        table: of `lookup.load`.
        policy: its name in the study.
        prm: a PRM's name or "none".
        budget: N.
        dataset: may be left out where the lookup knows only one.
        probe: whether to predict difficulty; None takes the plan with the higher expected accuracy.

    Raises:
        UserError: the context is unknown, its PRM is "any", or it has no such plan.
    """
    if prm == ANY:
        raise UserError("prm 'any' leaves open which; allowed: the name of one, or none")
    context = find(table, policy=policy, prm=prm, budget=budget, difficulty=ALL, dataset=dataset)
    plans = [
        plan
        for plan in table["plans"]
        if _same(plan, context, KEYS) and (probe is None or bool(plan["n_probe"]) == probe)
    ]
    if not plans:
        kind = {True: " that draws samples first", False: " without samples"}.get(probe, "")
        raise UserError(
            f"the lookup has no plan{kind} for policy {policy}, prm {prm}, budget {budget}"
        )
    plan = best_plan(plans)
    predictors = [entry for entry in table["predictors"] if _same(entry, context, KEYS[:-1])]
    return plan, predictors[0] if predictors else None


def level_of(table: dict, pass_at_1: float) -> str:
    """The difficulty level of a Pass@1 by the study's thresholds.

    Raises:
        UserError: it is not a proportion.
    """
    if not 0 <= pass_at_1 <= 1:
        raise UserError(f"pass-at-1 {pass_at_1:g} is not a proportion; allowed: 0 to 1")
    thresholds = table["fitted_on"]["difficulty"]
    return str(levels([pass_at_1], easy=thresholds["easy"], hard=thresholds["hard"])[0])


def cheaper(table: dict, context: dict) -> dict | None:
    """The smallest budget at which the same context promises at least as much at lower cost."""
    if context["accuracy"] is None:
        return None
    for other in table["contexts"]:  # by budget within equal keys
        same = _same(other, context, [*KEYS[:-1], "difficulty"])
        less = other["strategy"]["budget"] < context["strategy"]["budget"]
        if same and less and (other["accuracy"] or 0.0) >= context["accuracy"]:
            return other
    return None


def words(context: dict, less: dict | None = None) -> list[str]:
    """The advice as sentences."""
    support, strategy = context["support"], context["strategy"]
    prm = {ANY: "any PRM", NONE: "no PRM"}.get(context["prm"], f"PRM {context['prm']}")
    if "axis" in context:
        spent = f"{UNITS[context['axis']].format(context['amount'])} on a problem"
    else:
        spent = f"N = {context['budget']}"
    lines = [
        f"{context['policy']} on {context['dataset']}, {prm}, {spent}, "
        f"{context['difficulty']} problems:",
        f"use {describe(strategy)}.",
    ]
    if context["accuracy"] is None:
        lines.append(
            "The study had no problem of this difficulty: this is the choice over all problems."
        )
        return lines
    lines.append(
        f"Expected accuracy {_percent(context['accuracy'])} "
        f"({_percent(context['ci_low'])} to {_percent(context['ci_high'])}), cross-fitted on "
        f"{support['n_problems']} problems; {support['folds_agreeing']} of {support['folds']} "
        "fold-wise choices agree."
    )
    if not support["per_bin"]:
        lines.append("Choosing by difficulty does not pay here: this is the choice over all.")
    elif support["pooled"]:
        lines.append("Too few problems of this difficulty: this is the choice over all problems.")
    cost = context["cost"]
    if cost["flops"] is not None:
        lines.append(
            f"Cost per problem: {cost['policy_tokens']:,.0f} generated tokens, "
            f"{cost['prm_tokens']:,.0f} tokens read by the PRM, {cost['flops']:.3g} FLOPs."
        )
    if less is not None:
        lines.append(
            f"N = {less['budget']} promises no less ({_percent(less['accuracy'])}): "
            f"{describe(less['strategy'])}."
        )
    return lines


def _percent(value: float) -> str:
    """A proportion as a percentage with one decimal."""
    return f"{100 * value:.1f} %"


def _same(one: dict, other: dict, keys: Sequence[str]) -> bool:
    return all(one[key] == other[key] for key in keys)


def _values(contexts: list[dict], key: str) -> list[str]:
    seen = dict.fromkeys(context[key] for context in contexts)
    return [str(value) for value in seen]
