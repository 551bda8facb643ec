"""`lookup.json`: for every context the strategy to use, what it promises, and on what grounds.

Nothing in it is code or pickled: numbers, names and the coefficients of small models.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from testtime.catalog import PolicySpec, PrmSpec
from testtime.difficulty import LEVELS, levels
from testtime.errors import UserError
from testtime.fit.crossfit import MIN_SUPPORT
from testtime.fit.selection import ALL, Fit, Settings

FORMAT, VERSION = "testtime-lookup", 1
DIGITS = 6
ORDER = (ALL, *LEVELS)


def lookup(
    fits: Sequence[Fit],
    settings: Settings,
    *,
    study: str,
    difficulty: dict,
    policies: Sequence[PolicySpec] = (),
    prms: Sequence[PrmSpec] = (),
    prm_quality: dict[str, float] | None = None,
    tree: dict | None = None,
    plans: Sequence[dict] = (),
    predictors: Sequence[dict] = (),
) -> dict:
    """Put fitted choices into the form that `testtime advise` and `testtime solve` read.

    Args:
        fits: of `fit_study` for the binnings "all", "level" and "quantile".
        settings: that they were fitted with.
        study: its title.
        difficulty: the study's difficulty settings (samples, easy, hard, quantiles).
        policies: specs, for their sizes.
        prms: specs, for their sizes.
        prm_quality: a number per PRM, e.g. its AUC on step labels.
        tree: of `tree.fit_tree`.
        plans: of `plans.make_plans`.
        predictors: of `predict.fit_predictor`.

    Returns:
        Plain values, floats to six significant digits, contexts sorted: equal inputs give equal
        bytes through `tables.write_json`.
    """
    contexts = sorted((c for fit in fits for c in _contexts(fit, settings)), key=_sort_key)
    problems = {fit.dataset: len(fit.problem_ids) for fit in fits}
    sources = {f"{fit.dataset}/{fit.policy}": fit.source for fit in fits if fit.binning == "level"}
    quality = prm_quality or {}
    return _plain(
        {
            "format": FORMAT,
            "version": VERSION,
            "study": study,
            "fitted_on": {
                **asdict(settings),
                "min_support": MIN_SUPPORT,
                "problems": problems,
                "difficulty": {**difficulty, "source": sources},
            },
            "policies": {spec.name: {"parameters": spec.parameters} for spec in policies},
            "prms": {
                spec.name: {"parameters": spec.parameters, "quality": quality.get(spec.name)}
                for spec in prms
            },
            "contexts": contexts,
            "tree": tree,
            "plans": list(plans),
            "predictors": list(predictors),
        }
    )


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


def level_of(table: dict, pass_at_1: float) -> str:
    """The difficulty level of a Pass@1 by the study's thresholds.

    Raises:
        UserError: it is not a proportion.
    """
    if not 0 <= pass_at_1 <= 1:
        raise UserError(f"pass-at-1 {pass_at_1:g} is not a proportion; allowed: 0 to 1")
    thresholds = table["fitted_on"]["difficulty"]
    return str(levels([pass_at_1], easy=thresholds["easy"], hard=thresholds["hard"])[0])


def _contexts(fit: Fit, settings: Settings) -> list[dict]:
    choices = settings.folds * settings.repeats
    return [
        {
            "dataset": fit.dataset,
            "policy": fit.policy,
            "prm": fit.prm,
            "budget": fit.budget,
            "difficulty": row["difficulty"],
            "strategy": {key: row[key] for key in ("method", "scoring", "vote", "prm", "budget")},
            "accuracy": row["accuracy"],
            "ci_low": row["ci_low"],
            "ci_high": row["ci_high"],
            "in_sample_accuracy": row["in_sample_accuracy"],
            "support": {
                "n_problems": row["n_problems"],
                "folds_agreeing": round(row["agreement"] * choices),
                "folds": choices,
                "pooled": row["pooled"],
            },
            "cost": {key: row[key] for key in ("policy_tokens", "prm_tokens", "flops")},
        }
        for row in fit.choices.to_dict("records")
    ]


def _sort_key(context: dict) -> tuple:
    difficulty = context["difficulty"]
    rank = ORDER.index(difficulty) if difficulty in ORDER else len(ORDER)
    return (
        context["dataset"],
        context["policy"],
        context["prm"],
        context["budget"],
        rank,
        difficulty,
    )


def _values(contexts: list[dict], key: str) -> list[str]:
    seen = dict.fromkeys(context[key] for context in contexts)
    return [str(value) for value in seen]


def _plain(value: object) -> object:
    """Plain JSON values: six significant digits, missing numbers as null."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
