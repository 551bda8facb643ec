"""`lookup.json`: for every context the strategy, its expected accuracy and its evidence.

It holds no code or pickles: only numbers, names and the coefficients of small models.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from testtime.data.store import read_json
from testtime.errors import UserError
from testtime.evaluate.difficulty import levels
from testtime.fit.cells import Settings
from testtime.fit.crossfit import MIN_SUPPORT
from testtime.fit.select import KEYS, Fit
from testtime.study.catalog import PolicySpec, PrmSpec
from testtime.study.vocabulary import ALL, INTERVAL, LEVELS, NONE, SPENT, STRATEGY, TEXT

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
    rates: Mapping[str, float | None] | None = None,
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
        rates: tokens per second of policies and PRMs; None where unknown.
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
    quality, rates = prm_quality or {}, rates or {}
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
            "policies": {
                spec.name: {"parameters": spec.parameters, "rate": rates.get(spec.name)}
                for spec in policies
            },
            "prms": {
                spec.name: {
                    "parameters": spec.parameters,
                    "quality": quality.get(spec.name),
                    "rate": rates.get(spec.name),
                }
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
    if not Path(path).exists():
        raise UserError(
            f"no such file: {path}; run the study first (snakemake), or give --lookup FILE"
        )
    value = read_json(path)
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
        UserError: the context is unknown; names the first unknown key and its known values.
    """
    known = table["contexts"]
    wanted = {
        "dataset": the_dataset(known) if dataset is None else dataset,
        "policy": policy,
        "prm": prm,
        "budget": budget,
        "difficulty": difficulty,
    }
    return narrowed(known, wanted)[0]


def narrowed(known: list[dict], wanted: dict, given: dict | None = None) -> list[dict]:
    """The entries with all of these values.

    Args:
        known: entries.
        wanted: key -> value.
        given: what they were narrowed by before, for the message.

    Raises:
        UserError: none has them; names the first such key and its known values.
    """
    said = ", ".join(f"{key} {value}" for key, value in (given or {}).items())
    for key, value in wanted.items():
        found = [entry for entry in known if entry[key] == value]
        if not found:
            raise UserError(
                f"{key} {value!r} is not in the lookup{f' for {said}' if said else ''}; "
                f"known: {', '.join(values_of(known, key)) or 'none'}"
            )
        said, known = f"{said}, {key} {value}".removeprefix(", "), found
    return known


def the_dataset(known: list[dict]) -> str:
    """The only dataset of these entries.

    Raises:
        UserError: there are several.
    """
    datasets = values_of(known, "dataset")
    if len(datasets) > 1:
        raise UserError(f"dataset must be given; known: {', '.join(datasets)}")
    return datasets[0] if datasets else ""


def values_of(entries: list[dict], key: str) -> list[str]:
    """The values of a key, each once, in the order of the entries."""
    seen = dict.fromkeys(entry[key] for entry in entries)
    return [str(value) for value in seen]


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
            "cost": {key: row[key] for key in SPENT},
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
