"""A study's config: read as Snakemake reads it, with the checks that a schema cannot make.

Nothing here runs a model.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from testtime.errors import UserError
from testtime.study.blocks import pool_budgets
from testtime.study.catalog import (
    ROOT,
    Catalog,
    DatasetSpec,
    ModelSpec,
    check_engine,
    of_study,
)
from testtime.study.conventions import convention_named
from testtime.study.methods import METHODS, names
from testtime.study.prompts import check_prompt
from testtime.study.schema import check
from testtime.study.thoughts import applicable, thinking_budgets
from testtime.study.vocabulary import ALL_VOTES, MAJORITY

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+|[\w.-]+")
COMMIT = re.compile(r"[0-9a-f]{40}")


def read(*files: str | Path) -> dict:
    """`config.yaml` of this folder, else of the checkout, with the files' keys on top.

    Raises:
        UserError: a file is missing or is not a mapping.
    """
    base = Path("config.yaml")
    config: dict = {}
    for path in (base if base.is_file() else ROOT / base, *map(Path, files)):
        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError) as error:
            raise UserError(f"cannot read {path}: {' '.join(str(error).split())}") from error
        if not isinstance(loaded, Mapping):
            raise UserError(f"{path}: a config is a mapping of keys, found {loaded!r:.40}")
        config = _merge(config, loaded)
    return config


def _merge(config: Mapping, changes: Mapping) -> dict:
    """Merge mappings and replace all else, as Snakemake's --configfile does."""
    merged = dict(config)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def validate(config: dict) -> Catalog:
    """Refuse a study that cannot run, before any job starts.

    Returns:
        The catalog with the study's own entries.

    Raises:
        UserError: one line naming the key, its value and what is allowed.
    """
    check(config, "config", where="config")
    check_engine("config engine:", config["engine"])
    catalog = of_study(config)
    _known(config, "datasets", catalog.datasets)
    _known(config, "policies", catalog.policies)
    _known(config, "prms", catalog.prms)
    _known(config, "methods", METHODS)
    _check_per_policy(config, catalog)
    _check_budgets(config)
    _check_difficulty(config)
    _check_methods(config, catalog)
    _check_jobs(config, catalog)
    _check_claim(config, catalog)
    _check_thinking(config, catalog)
    _check_imported(config, catalog)
    _check_datasets(config, catalog)
    for name in config["policies"]:
        check_prompt(f"config catalog.policies.{name}.prompt:", catalog.policy(name).prompt)
    for kind, specs in (("policies", catalog.policies), ("prms", catalog.prms)):
        for name in config[kind]:
            spec = specs[name]
            thinking = thinking_budgets(config, spec) if kind == "policies" else []
            _check_model(f"catalog.{kind}.{name}", spec, config["datasets"], thinking)
    if config["pinned"]:
        _check_pinned(config, catalog)
    return catalog


def _known(config: dict, key: str, allowed: Iterable[str]) -> None:
    for name in config[key]:
        if name not in allowed:
            raise UserError(
                f"config {key}: {name!r} is not known; allowed: {', '.join(sorted(allowed))}"
            )


def _check_per_policy(config: dict, catalog: Catalog) -> None:
    _known(config, "per_policy", catalog.policies)  # of another study's too: they wait
    for policy, own in config["per_policy"].items():
        for name in own.get("methods", []):
            if name not in METHODS:
                raise UserError(
                    f"config per_policy.{policy}.methods: {name!r} is not known; "
                    f"allowed: {', '.join(sorted(METHODS))}"
                )
    if all(_methods(config, catalog, policy) == ["cot"] for policy in config["policies"]):
        raise UserError(
            "config methods: every policy has CoT alone, so that no budget is spent; "
            f"allowed: {', '.join(names('pool', 'search'))} for at least one"
        )


def _check_budgets(config: dict) -> None:
    own = {f"per_policy.{p}.budgets": o.get("budgets", {}) for p, o in config["per_policy"].items()}
    width = config["beam_width"]
    for where, budgets in {"budgets": config["budgets"], **own}.items():
        for key, values in budgets.items():
            if values != sorted(values):
                raise UserError(
                    f"config {where}.{key}: {values} is out of order; allowed: ascending"
                )
        for budget in budgets.get("search", []):
            if budget % width:
                raise UserError(
                    f"config {where}.search: {budget} is not a multiple of beam_width {width}; "
                    f"allowed: {width}, {2 * width}, {3 * width}, ..."
                )


def _check_difficulty(config: dict) -> None:
    easy, hard = config["difficulty"]["easy"], config["difficulty"]["hard"]
    if not hard < easy:
        raise UserError(
            f"config difficulty.hard: {hard} is not below difficulty.easy {easy}; "
            "allowed: 0 <= hard < easy <= 1"
        )


def _methods(config: dict, catalog: Catalog, policy: str) -> list[str]:
    own = config["per_policy"].get(policy, {}).get("methods", config["methods"])
    return applicable(own, thinking_budgets(config, catalog.policies[policy]))


def _check_methods(config: dict, catalog: Catalog) -> None:
    every = {name: None for p in config["policies"] for name in _methods(config, catalog, p)}
    guided = [name for name in every if METHODS[name].needs_prm]
    searches = [name for name in every if name in names("search")]
    if guided and not config["prms"]:
        raise UserError(
            f"config prms: [] is empty but {', '.join(guided)} need one; allowed: a catalog name, "
            "or methods without them"
        )
    if searches and not config["budgets"]["search"]:
        raise UserError(f"config budgets.search: [] is empty but {', '.join(searches)} need one")
    for key, allowed in (("scoring", config["scorings"]), ("vote", config["votes"])):
        value = config["figures"][key]
        if value not in allowed:
            raise UserError(
                f"config figures.{key}: {value!r} is not among {key}s; "
                f"allowed: {', '.join(v for v in allowed if v not in (MAJORITY, *ALL_VOTES))}"
            )


def _check_claim(config: dict, catalog: Catalog) -> None:
    large = config["claim"]["large"]
    chains = [policy for policy in config["policies"] if "cot" in _methods(config, catalog, policy)]
    if large is not None and large not in chains:
        raise UserError(
            f"config claim.large: {large!r} is not a policy of the study with CoT; "
            f"allowed: {', '.join(chains) or 'null'}"
        )


def _check_jobs(config: dict, catalog: Catalog) -> None:
    if config["jobs"]["gpu"] not in catalog.gpus:
        raise UserError(
            f"config jobs.gpu: {config['jobs']['gpu']!r} is not known; "
            f"allowed: {', '.join(catalog.gpus)}, or an entry of yours under catalog.gpus"
        )
    hours, most = config["jobs"]["hours"], config["jobs"]["max_hours"]
    if hours > most:
        raise UserError(
            f"config jobs.max_hours: {most} is below jobs.hours {hours}; allowed: {hours} or more"
        )


def _check_imported(config: dict, catalog: Catalog) -> None:
    held_out = config["difficulty"]["samples"]
    for name in config["policies"]:
        spec, own = catalog.policies[name], _methods(config, catalog, name)
        budgets = config["per_policy"].get(name, {}).get("budgets", {})
        budgets = budgets.get("pool", config["budgets"]["pool"])
        if own != ["cot"] and not pool_budgets(spec, budgets, held_out):
            raise UserError(
                f"config catalog.policies.{name}.n_samples: {spec.n_samples} are fewer than the "
                f"smallest budget, {budgets[0]}, and the {held_out} held out for difficulty; "
                "allowed: smaller budgets.pool or difficulty.samples"
            )
        for prm in config["prms"]:
            if catalog.prms[prm].in_samples and spec.samples is None:
                raise UserError(
                    f"config prms: the scores of {prm!r} come from files of samples, but policy "
                    f"{name!r} has none; allowed: policies with `samples:`"
                )
    for name in config["policies"]:
        spec = catalog.policies[name]
        if spec.samples is None:
            continue
        greedy = names("greedy") if spec.cot_samples is None else ()
        for method in _methods(config, catalog, name):
            if method in (*greedy, *names("search")):
                raise UserError(
                    f"config methods: {method!r} must run a model, but the samples of policy "
                    f"{name!r} come from a file; allowed: {', '.join(names('pool'))}, for this "
                    f"policy alone under per_policy.{name}, and cot where its catalog entry says "
                    "how many samples are CoT (cot_samples)"
                )


def _check_datasets(config: dict, catalog: Catalog) -> None:
    for name in config["datasets"]:
        spec = catalog.datasets[name]
        if spec.source != "microcosm" and not spec.path:
            raise UserError(f"config catalog.datasets.{name}: path must be given")
        if spec.source == "file" and not Path(spec.path).is_file():
            raise UserError(f"config catalog.datasets.{name}.path: no such file: {spec.path}")
        try:
            convention_named(spec.convention)
        except UserError as error:
            raise UserError(f"config catalog.datasets.{name}.convention: {error}") from None
        if config["fit"]["folds"] > min(spec.size, config["problems"]["limit"] or spec.size):
            raise UserError(
                f"config fit.folds: {config['fit']['folds']} is more than the problems of {name}; "
                f"allowed: 3 to {min(spec.size, config['problems']['limit'] or spec.size)}"
            )


def _check_thinking(config: dict, catalog: Catalog) -> None:
    """Thoughts must leave room for a prompt and an answer, and a policy that thinks a method."""
    for name in config["policies"]:
        spec = catalog.policies[name]
        own = config["per_policy"].get(name, {}).get("budgets", {})
        budgets = own.get("thinking", config["budgets"]["thinking"])
        if spec.is_given and "{thinking}" in spec.samples and not (spec.thinking and budgets):
            raise UserError(
                f"config catalog.policies.{name}.samples: {spec.samples} is a file for each "
                "thinking budget; allowed: with `thinking:` in the entry and budgets.thinking"
            )
        budgets = thinking_budgets(config, spec)
        if not _methods(config, catalog, name):
            free = [method for method in METHODS if applicable([method], budgets)]
            why = "thoughts are not limited"
            if budgets:
                free.append(f"or per_policy.{name}.budgets.thinking: []")
                why = "thoughts are not searched"
            raise UserError(
                f"config methods: none of them suits {name}, whose {why} (budgets.thinking); "
                f"allowed: {', '.join(free)}"
            )
        if not budgets:
            continue
        most = spec.context - spec.thinking.answer_tokens - 1
        if not spec.is_given and budgets[-1] > most:
            raise UserError(
                f"config budgets.thinking: {budgets[-1]} leaves no room for the answer of {name}, "
                f"whose context is {spec.context} tokens; allowed: at most {most}, less the prompt"
            )


def _check_model(
    key: str, spec: ModelSpec, datasets: Iterable[str], thinking: Sequence[int] = ()
) -> None:
    if getattr(spec, "samples", None) is not None:
        for path in (spec.samples_of(d, t) for d in datasets for t in thinking or [0]):
            if not Path(path).is_file():
                raise UserError(f"config {key}.samples: no such file: {path}")
        return
    if spec.train is not None or spec.is_given:
        return
    if spec.folder is None and not HUB_ID.fullmatch(spec.model):
        raise UserError(
            f"config {key}.model: no such folder: {spec.model}; allowed: a model folder, or a hub "
            "id such as Qwen/Qwen2.5-0.5B-Instruct"
        )


def _check_pinned(config: dict, catalog: Catalog) -> None:
    """Everything from the hub must be pinned, so that it is the same next year."""
    specs = [(f"policies.{name}", catalog.policies[name]) for name in config["policies"]]
    specs += [(f"prms.{name}", catalog.prms[name]) for name in config["prms"]]
    specs += [(f"datasets.{name}", catalog.datasets[name]) for name in config["datasets"]]
    for key, spec in specs:
        if _is_of_hub(spec) and not COMMIT.fullmatch(spec.revision or ""):
            raise UserError(
                f"config pinned: catalog.{key}.revision is {spec.revision!r}; allowed: a commit of "
                "40 hex digits, as `testtime check` prints it, or pinned: false"
            )


def _is_of_hub(spec: ModelSpec | DatasetSpec) -> bool:
    if isinstance(spec, DatasetSpec):
        return spec.source == "hub"
    return spec.folder is None and spec.train is None and not spec.is_given
