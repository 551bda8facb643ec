"""Reading `lookup.json`: the entry or plan of a context, or an error that says what is known."""

import json
from pathlib import Path

from testtime.errors import UserError
from testtime.evaluate.difficulty import levels
from testtime.fit.cells import ANY
from testtime.fit.lookup import FORMAT, VERSION
from testtime.fit.plans import best_plan
from testtime.fit.selection import ALL


def load(path: str | Path) -> dict:
    """Read a lookup.

    Raises:
        UserError: the file is missing, not a lookup, or of another version.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"no such file: {path}; run the study first (snakemake), or give --lookup FILE"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a lookup: {error}") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise UserError(f"{path} is not a lookup: its format is not {FORMAT!r}")
    if value.get("version") != VERSION:
        raise UserError(
            f"{path}: version {value.get('version')} of the lookup; this program reads {VERSION}"
        )
    return value


def find(
    table: dict, *, policy: str, prm: str, budget: int, difficulty: str, dataset: str | None = None
) -> dict:
    """The entry of a context.

    Args:
        table: of `load`.
        policy: its name in the study.
        prm: a PRM's name, "none" or "any".
        budget: N.
        difficulty: "all", a level or a quantile.
        dataset: may be left out where the lookup knows only one.

    Raises:
        UserError: the context is not known; the message names the first key that is not, and the
            values that are.
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
    for key, value in wanted.items():
        found = [context for context in known if context[key] == value]
        if not found:
            given = ", ".join(f"{k} {wanted[k]}" for k in list(wanted)[: list(wanted).index(key)])
            raise UserError(
                f"{key} {value!r} is not in the lookup{f' for {given}' if given else ''}; "
                f"known: {', '.join(_values(known, key)) or 'none'}"
            )
        known = found
    return known[0]


def plan_for(
    table: dict,
    *,
    policy: str,
    prm: str,
    budget: int,
    dataset: str | None = None,
    probe: bool | None = None,
) -> tuple[dict, dict | None]:
    """The plan for new problems and, where it draws samples first, the predictor it needs.

    Args:
        table: of `load`.
        policy: its name in the study.
        prm: a PRM's name or "none".
        budget: N.
        dataset: may be left out where the lookup knows only one.
        probe: whether to predict difficulty; None takes the plan that promises more.

    Raises:
        UserError: the context is not known, its PRM is left open, or it has no such plan.
    """
    if prm == ANY:
        raise UserError("prm 'any' leaves open which; allowed: the name of one, or none")
    context = find(table, policy=policy, prm=prm, budget=budget, difficulty=ALL, dataset=dataset)
    keys = ("dataset", "policy", "prm", "budget")
    plans = [
        plan
        for plan in table["plans"]
        if all(plan[key] == context[key] for key in keys)
        and (probe is None or bool(plan["n_probe"]) == probe)
    ]
    if not plans:
        kind = {True: " that draws samples first", False: " without samples"}.get(probe, "")
        raise UserError(
            f"the lookup has no plan{kind} for policy {policy}, prm {prm}, budget {budget}"
        )
    plan = best_plan(plans)
    predictors = [
        entry
        for entry in table["predictors"]
        if all(entry[key] == context[key] for key in ("dataset", "policy", "prm"))
    ]
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


def _values(contexts: list[dict], key: str) -> list[str]:
    seen = dict.fromkeys(context[key] for context in contexts)
    return [str(value) for value in seen]
