"""`lookup.json`: for every context the strategy, its expected accuracy and its evidence.

It holds no code or pickles: only numbers, names and the coefficients of small models.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from testtime.errors import UserError
from testtime.fit.cells import Settings
from testtime.fit.crossfit import MIN_SUPPORT
from testtime.fit.select import KEYS, Fit
from testtime.study.catalog import PolicySpec, PrmSpec
from testtime.study.vocabulary import ALL, COSTS, INTERVAL, LEVELS, NONE, STRATEGY, TEXT

FORMAT, VERSION = "testtime-lookup", 3
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
    by_cost: Mapping[str, Sequence[Fit]] | None = None,
    beam_width: int = 4,
    paths_end_at: str = TEXT,
) -> dict:
    """Put fitted choices into the form that `testtime advise` and `testtime solve` read.

    Args:
        fits: of `fit_study` for the binnings "all", "chosen" (or "level") and "quantile".
        settings: those of the fit.
        study: its title.
        difficulty: the study's difficulty settings (samples, easy, hard, quantiles).
        policies: specs, for their sizes.
        prms: specs, for their sizes.
        prm_quality: a number per PRM, e.g. its AUC on step labels.
        tree: of `tree.fit_tree`.
        plans: of `plans.make_plans`.
        predictors: of `predict.fit_predictor`, each with its dataset, policy and prm.
        by_cost: of `cost_axis.cost_fits`.
        beam_width: M of the study's searches.
        paths_end_at: where their paths end.

    Returns:
        Plain values, floats to six significant digits, contexts sorted: equal inputs give equal
        bytes through `tables.write_json`.
    """
    contexts = sorted((c for fit in fits for c in _contexts(fit, settings)), key=_sort_key)
    costs = [
        {"axis": axis, "amount": context.pop("budget"), **context}
        for axis, own in (by_cost or {}).items()
        for context in sorted((c for fit in own for c in _contexts(fit, settings)), key=_sort_key)
    ]
    problems = {fit.dataset: len(fit.problem_ids) for fit in fits}
    sources = {f"{fit.dataset}/{fit.policy}": fit.source for fit in fits if fit.source != NONE}
    quality = prm_quality or {}
    return _plain(
        {
            "format": FORMAT,
            "version": VERSION,
            "study": study,
            "fitted_on": {
                **asdict(settings),
                "min_support": MIN_SUPPORT,
                "beam_width": beam_width,
                "paths_end_at": paths_end_at,
                "problems": problems,
                "difficulty": {**difficulty, "source": sources},
            },
            "policies": {spec.name: {"parameters": spec.parameters} for spec in policies},
            "prms": {
                spec.name: {"parameters": spec.parameters, "quality": quality.get(spec.name)}
                for spec in prms
            },
            "contexts": contexts,
            "by_cost": costs,
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


def _contexts(fit: Fit, settings: Settings) -> list[dict]:
    choices = settings.folds * settings.repeats
    return [
        {
            **dict(zip(KEYS, fit.context, strict=True)),
            "difficulty": row["difficulty"],
            "strategy": {key: row[key] for key in STRATEGY},
            **{key: row[key] for key in ("accuracy", *INTERVAL, "in_sample_accuracy")},
            "support": {
                "n_problems": row["n_problems"],
                "folds_agreeing": round(row["agreement"] * choices),
                "folds": choices,
                "pooled": row["pooled"],
                "per_bin": row["per_bin"],
            },
            "cost": {key: row[key] for key in COSTS},
        }
        for row in fit.choices.to_dict("records")
    ]


def _sort_key(context: dict) -> tuple:
    difficulty = context["difficulty"]
    rank = ORDER.index(difficulty) if difficulty in ORDER else len(ORDER)
    return (*(context[key] for key in KEYS), rank, difficulty)


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
