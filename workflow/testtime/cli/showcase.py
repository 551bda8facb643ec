"""What README shows of the default study: its results, its figures, an example of advice.

`adopt` takes the study's outcomes and figures into the project. The analysis is not taken: pages
are written from the outcomes by the code as it is, so a test tells when they no longer agree.
"""

import shutil
from functools import cache
from importlib import import_module
from pathlib import Path

import pandas as pd
import yaml

from testtime.data.decided import cells
from testtime.data.rows import digest
from testtime.data.store import atomic_folder, read_csv, read_json
from testtime.errors import UserError
from testtime.fit.advise import Question, advise, words
from testtime.fit.lookup import level_of
from testtime.present.figures.looks import count, look
from testtime.present.registry import figures, inputs_of, tables
from testtime.present.report.finding import Finding, find
from testtime.study import catalog
from testtime.study.catalog import ROOT
from testtime.study.methods import METHODS
from testtime.study.study import Study
from testtime.study.vocabulary import ALL, ANY, COT, MAJORITY, NONE

KEPT = ROOT / "workflow/resources/showcase"
FIGURES = ("small_vs_large", "accuracy_by_budget", "accuracy_by_difficulty")
MODULES = ("accuracy", "comparisons", "lookup")
PASS_AT_K = "pass_at_k"  # the table itself: the grades that it is made from are large
POLICY, PRM, BUDGET = "micro-s", "micro-prm-good", 16
PASS_AT_1 = 0.3


def adopt(results: Path) -> None:
    """Take from a finished default study what README needs.

    Args:
        results: its folder of results.

    Raises:
        UserError: a file is missing there.
    """
    study = default_study()
    kept = [*study.paths_of(PASS_AT_K), *(p for name in MODULES for p in _inputs(name, study))]
    wanted = {_within(study, path) for path in kept}
    kinds = ("figure", "figure_data")
    drawn = {
        _within(study, study.layout.path(kind, figure=name)) for name in FIGURES for kind in kinds
    }
    missing = [path for path in sorted(wanted | drawn) if not (results / path).is_file()]
    if missing:
        raise UserError(f"{results} is not a finished default study: it has no {missing[0]}")
    for cell in cells(study):
        record = results / _within(study, cell.record)
        if not record.is_file() or digest(read_json(record)["decided"]) != digest(cell.decided):
            raise UserError(
                f"{results} is not a finished default study: its {cell.stage} of "
                f"{', '.join(cell.names.values())} followed other settings ({record})"
            )
    with atomic_folder(KEPT) as folder:
        for path in wanted:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(results / path, folder / path)
    for path in drawn:
        shutil.copyfile(results / path, ROOT / "docs/figures" / path.name)
    analysed.cache_clear()


def default_study() -> Study:
    """The study of `config.yaml`."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    return Study(config, catalog.of_study(config))


@cache
def analysed() -> dict:
    """Tables and lookup of the default study, by name, computed from its outcomes."""
    study = default_study()
    made = {PASS_AT_K: read_csv(*_kept(study, study.paths_of(PASS_AT_K)))}
    for name in MODULES:
        facts = tables()[name]
        inputs = {kind: _kept(study, paths) for kind, paths in inputs_of(facts, study).items()}
        settings = study.settings(*facts.settings)
        made |= import_module(f"testtime.present.tables.{name}").make(inputs, settings)
    return made


def figure_data(name: str) -> pd.DataFrame:
    """The data that one of README's figures draws, from the tables of `analysed`."""
    study, known = default_study(), analysed()
    facts = figures()[name]
    inputs = {kind: known.get(kind) for kind in (*facts.inputs, *facts.optional)}
    settings = study.settings(*facts.settings)
    return import_module(f"testtime.present.figures.{name}").data(**inputs, **settings)


def results_section() -> str:
    """README's account of the default study."""
    study, known = default_study(), analysed()
    found = find(known, known["lookup"], study.setting("policies"))
    return "\n".join([_introduction(study), "", _table(study, known), "", *_bullets(study, found)])


def advice() -> str:
    """An example of `testtime advise`, as it answers on the default study."""
    known = analysed()["lookup"]
    level = level_of(known, PASS_AT_1)
    asked = Question("budget", BUDGET, policies=[POLICY], prm=PRM, difficulty=level)
    command = f"testtime advise --policy {POLICY} --prm {PRM} --budget {BUDGET}"
    lines = [f"$ {command} --pass-at-1 {PASS_AT_1}", *words(advise(known, asked)), "..."]
    return "\n".join(["```console example", *lines, "```"])


def _inputs(name: str, study: Study) -> list[str]:
    """The files of a study's results that a module of tables reads."""
    paths = [path for paths in inputs_of(tables()[name], study).values() for path in paths]
    return [path for path in paths if Path(path).is_relative_to(study.config["results"])]


def _within(study: Study, path: str) -> Path:
    """A path from within the folder of results."""
    return Path(path).relative_to(study.config["results"])


def _kept(study: Study, paths: list[str]) -> list[str]:
    """Where files that a study reads are here."""
    results = study.config["results"]
    inside = [Path(path).is_relative_to(results) for path in paths]
    return [
        str(KEPT / _within(study, path) if own else ROOT / path)
        for path, own in zip(paths, inside, strict=True)
    ]


def _introduction(study: Study) -> str:
    pool, search = (study.config["budgets"][kind][-1] for kind in ("pool", "search"))
    drawn = study.config["figures"]
    sizes = [study.n_problems(name) for name in study.config["datasets"]]
    return (
        f"From the shipped study: {sum(sizes)} problems of known difficulty, pools of {pool} "
        f"samples, searches up to N = {search}. Accuracy in percent; best-of-N and the searches "
        f"take the {drawn['scoring']} step's score and the {drawn['vote']} vote; compute-optimal "
        "is cross-fitted over all PRMs at the largest budget, with its "
        f"{100 * study.config['evaluate']['confidence']:.0f} % interval."
    )


def _table(study: Study, known: dict) -> str:
    """A row per policy: Pass@1, CoT, each method at the headline's budget, compute-optimal."""
    headline, prms = study.setting("headline"), study.config["prms"]
    methods = [MAJORITY, *_guided(study)]
    each = " / ".join(prm.removeprefix("micro-prm-") for prm in prms)
    head = ["policy", "parameters", "Pass@1", "CoT"]
    for name in methods:
        told = "" if name == MAJORITY else f", {each} PRM"
        head.append(f"{look(name).label}{told}, N = {headline}")
    largest = study.config["budgets"]["pool"][-1]
    rows = [[*head, f"compute-optimal, N = {largest}"]]
    pass_at_1 = known["pass_at_k"].query("k == 1").set_index("policy")["pass_at_k"]
    best = known["compute_optimal"]
    best = best[(best["prm"] == ANY) & (best["budget"] == largest)].set_index("policy")
    for policy, size in study.setting("policies").items():
        row = [policy, count(size)]
        row.append(_number(pass_at_1.get(policy)))
        row.append(_number(_accuracy(study, known, policy, COT, NONE, 1)))
        for name in methods:
            guided = [NONE] if name == MAJORITY else prms
            found = [_accuracy(study, known, policy, name, prm, headline) for prm in guided]
            row.append("–" if None in found else " / ".join(map(_number, found)))
        if policy in best.index:
            ends = (_number(best.loc[policy, end]) for end in ("ci_low", "ci_high"))
            row.append(f"{_number(best.loc[policy, 'accuracy'])} ({'–'.join(ends)})")
        rows.append(row if len(row) == len(rows[0]) else [*row, "–"])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _accuracy(
    study: Study, known: dict, policy: str, method: str, prm: str, budget: int
) -> float | None:
    """Over all problems, with the scoring and vote of the figures where a method has several."""
    rows = known["accuracy"]
    rows = rows[(rows["difficulty"] == ALL) & (rows["policy"] == policy) & (rows["prm"] == prm)]
    rows = rows[(rows["method"] == method) & (rows["budget"] == budget)]
    for part in ("scoring", "vote"):
        if rows[part].nunique() > 1:
            rows = rows[rows[part] == study.config["figures"][part]]
    return float(rows["accuracy"].item()) if len(rows) else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _guided(study: Study) -> list[str]:
    """The study's methods that a PRM guides, without rules."""
    return [n for n in study.methods() if METHODS[n].needs_prm and not METHODS[n].rule]


def _bullets(study: Study, found: Finding) -> list[str]:
    """The finding's paragraphs, and which ways are above majority voting and CoT."""
    compared, against, besides = found.paragraphs
    paragraphs = [f"**{found.headline}** {' '.join(compared)}", " ".join(against)]
    paragraphs += [" ".join(besides), _ways(study), _stopping(study)]
    return [f"- {text}" for text in paragraphs]


def _stopping(study: Study) -> str:
    """What a rule that stops saves of the largest majority vote, policy by policy."""
    rows, rule, parts = analysed()["accuracy"], "adaptive_consistency", []
    for policy in filter(study.is_studied, study.config["policies"]):
        own = rows[(rows["difficulty"] == ALL) & (rows["policy"] == policy)]
        most = study.pool_budgets(policy)[-1]
        at = own[own["budget"] == most].drop_duplicates("method").set_index("method")
        told, whole = at.loc[rule], at.loc[MAJORITY]
        parts.append(
            f"for {policy} {told['samples']:.0f} of {most} samples, and answers "
            f"{_number(told['accuracy'])} % (all {most}: {_number(whole['accuracy'])} %)"
        )
    return (
        "Drawing can stop once the answers decide, without a PRM. "
        f"{look(rule).label} draws in the mean {'; '.join(parts)}."
    )


def _ways(study: Study) -> str:
    """For how many policies and PRMs each method is above majority voting, and above CoT."""
    known, headline = analysed(), study.setting("headline")
    drawn = study.config["figures"]
    parts = []
    guided = _guided(study)
    for prm in study.config["prms"]:
        counted = []
        for name in guided:
            above = {MAJORITY: 0, COT: 0}
            pairs = 0
            for policy in filter(study.is_studied, study.config["policies"]):
                own = _accuracy(study, known, policy, name, prm, headline)
                rivals = {
                    MAJORITY: _accuracy(study, known, policy, MAJORITY, NONE, headline),
                    COT: _accuracy(study, known, policy, COT, NONE, 1),
                }
                pairs += 1
                for rival, accuracy in rivals.items():
                    above[rival] += own > accuracy
            counted.append(f"{look(name).label} for {above[MAJORITY]} and {above[COT]} of {pairs}")
        parts.append(f"with {prm}, {', '.join(counted)}")
    return (
        f"The best way depends on the PRM. At N = {headline} ({drawn['scoring']} score, "
        f"{drawn['vote']} vote) the number of policies for which a method is above majority voting "
        f"and above CoT is: {'; '.join(parts)}."
    )
