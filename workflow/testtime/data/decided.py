"""What decides the rows of a cell: its settings as plain values, and the stamps made of them.

All that rows follow stands in `results/decided/`, a file per cell and one per dataset, which is an
input of the jobs there: they run again when it changes. It is compared and written whenever
Snakemake reads the workflow, so it tells a changed setting also where Snakemake has no record of a
job, as after a kill or for copied files. The stamp of a file is a digest of the same values; the
stamp of a row has only those that the row follows, and the content of the model's files instead of
their names.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product

from testtime.data import places
from testtime.data.rows import digest
from testtime.data.store import stamp_of, write_json
from testtime.errors import UserError
from testtime.runtime import weights
from testtime.runtime.lock import is_held
from testtime.study.catalog import ModelSpec, as_params
from testtime.study.methods import METHODS
from testtime.study.prompts import DAY, PROMPTS, TEMPLATE_OPTIONS
from testtime.study.study import Study
from testtime.study.thoughts import part_stamps
from testtime.study.types import Problem
from testtime.study.vocabulary import COT, DIFFICULTY, POOL, TEXT

# Raise a stage's number when its rows change meaning; edits of code alone rerun no heavy job.
FORMATS = {"train": 1, "problems": 1, "generate": 2, "score": 3, "search": 4}

DATASET = ("source", "path", "revision", "subset", "split", "columns")
SAMPLED_AS = ("separator", "context", "dtype", "max_tokens")
DRAWN_AS = ("temperature", "top_p", "top_k")
SEARCHED_AS = (*SAMPLED_AS, *DRAWN_AS, "step_tokens", "max_steps")
SCORED_AS = ("format", "context", "dtype")

Identify = Callable[[ModelSpec], object]  # what tells a model's weights from others


@dataclass(frozen=True)
class Cell:
    """The samples of a policy on a dataset, a PRM's scores of them, or its searches with a PRM.

    Attributes:
        stage: "generate", "score" or "search"; "problems" for the problems of a dataset.
        policy: None for problems.
        prm: None where no PRM is used.
    """

    study: Study
    stage: str
    dataset: str
    policy: str | None = None
    prm: str | None = None

    @property
    def names(self) -> dict[str, str]:
        """Its names, as in the paths of its files."""
        named = {"dataset": self.dataset, "policy": self.policy, "prm": self.prm}
        return {key: value for key, value in named.items() if value is not None}

    @property
    def name(self) -> str:
        """Its name among the rows and records of all cells."""
        return "/".join((self.stage, *self.names.values()))

    @property
    def store(self) -> str:
        """The place of its rows."""
        return f"{self.study.store}/{self.name}"

    @property
    def record(self) -> str:
        """The file of what decides it."""
        job = "/".join(self.names.values())
        return self.study.layout.path("decided", stage=self.stage, job=job)

    @cached_property
    def decided(self) -> dict:
        """All that decides its files, models told at a glance."""
        study, config = self.study, self.study.config
        problems = study.catalog.dataset(self.dataset)
        known = {"dataset": as_params(problems, *DATASET), "limit": config["problems"]["limit"]}
        if self.policy is None:
            own = {"format": FORMATS[self.stage], "seed": config["seed"], "size": problems.size}
            return known | own
        spec = study.catalog.policy(self.policy)
        if self.stage == "search":
            runs = {"runs": config["search_runs"]} if config["search_runs"] > 1 else {}
            width = {"beam_width": config["beam_width"]}
            return known | self._searching(_glance) | width | runs
        if spec.samples is not None:
            drawn = study.import_settings(self.policy)
            files = study.given_samples(self.dataset, self.policy)
            drawn |= {"samples": files if len(files) > 1 else files[0]}
        else:
            samples = replace(self, stage="generate", prm=None)
            drawn = samples._sampling(_glance, SAMPLED_AS + DRAWN_AS)
        thinking = {"thinking": study.thinks(self.policy)} if study.thinks(self.policy) else {}
        if self.stage == "generate":
            samples = {"cot_samples": spec.cot_samples} if spec.cot_samples else {}
            held_out = {"held_out": config["difficulty"]["samples"]}
            return known | drawn | held_out | samples | thinking
        return known | self._scoring(_glance) | {"samples": drawn} | thinking

    @property
    def stamp(self) -> str:
        """Of its files."""
        return digest(self.stage, self.names, self.decided)

    def stamps(self, problems: Iterable[Problem], identify: Identify) -> set[str]:
        """The stamps of all rows that it has for these problems; arguments as of `row_stamps`."""
        stamp_of, study = self.row_stamps(identify), self.study
        if self.stage == "score":
            return {stamp_of(problem) for problem in problems}
        kinds: Iterable[tuple] = [(COT,), (POOL,), (DIFFICULTY,)]
        if self.stage == "search":
            budgets = study.budgets("search", self.policy)
            kinds = list(product(study.search_methods(self.policy), budgets))
        found = {stamp_of(problem, *kind) for problem in problems for kind in kinds}
        thinking = study.thinks(self.policy) if self.stage == "generate" else []
        if not thinking:
            return found
        spec = study.catalog.policy(self.policy).thinking
        parts = thinking, spec.answer_tokens, spec.cue
        return {part for stamp in found for part in part_stamps(stamp, *parts)}

    def row_stamps(self, identify: Identify) -> Callable[..., str]:
        """A function that gives the stamp of a problem's rows.

        Args:
            identify: tells a model by the content of its files, see `identities`.

        Returns:
            A function of a problem; for samples also of what they are drawn for ("pool", "cot" or
            "difficulty"), for searches of the method and of N.
        """
        if self.stage == "score":
            known = digest(self.stage, self._scoring(identify))
            return lambda problem: digest(known, problem.problem)
        names = (self.dataset, self.policy, self.prm)
        if self.stage == "generate":
            drawn = digest(*names, self._tracing(identify, SAMPLED_AS + DRAWN_AS))
            sampled = self.study.catalog.policy(self.policy).cot_samples is not None
            cot = drawn if sampled else digest(*names, self._tracing(identify, SAMPLED_AS))

            def of_samples(problem: Problem, label: str) -> str:
                return digest(cot if label == COT else drawn, label, asdict(problem))

            return of_samples
        width = self.study.config["beam_width"]
        searched = digest(*names, self._searching(identify), width)

        def of_trees(problem: Problem, method: str, budget: int) -> str:
            own = [method] if METHODS[method].nested else [method, budget]
            return digest(searched, own, asdict(problem))

        return of_trees

    def _sampling(self, identify: Identify, names: tuple[str, ...]) -> dict:
        study, spec = self.study, self.study.catalog.policy(self.policy)
        # Left out where they do not apply, so that what was computed before is found.
        thinks = study.thinks(self.policy)  # then its budgets limit a sample, not max_tokens
        others = {"thinking": asdict(spec.thinking)} if thinks else {}
        if spec.prompt in TEMPLATE_OPTIONS:
            others["template_options"] = TEMPLATE_OPTIONS[spec.prompt]
        return others | {
            "format": FORMATS[self.stage],
            "seed": study.config["seed"],
            "engine": study.engine(spec),
            "prompt": PROMPTS[spec.prompt]("{problem}"),
            "day": DAY.isoformat(),
            "model": identify(spec),
            **as_params(spec, *(n for n in names if n != "max_tokens" or not thinks)),
        }

    def _tracing(self, identify: Identify, names: tuple[str, ...]) -> dict:
        """What samples follow, without the cue, which only the answers to cut thoughts do."""
        known = self._sampling(identify, names)
        if "thinking" in known:
            known["thinking"].pop("cue")
        return known

    def _scoring(self, identify: Identify) -> dict:
        spec = self.study.catalog.prm(self.prm)
        return {
            "format_version": FORMATS[self.stage],
            "engine": self.study.engine(spec),
            "model": identify(spec),
            **as_params(spec, *SCORED_AS),
        }

    def _searching(self, identify: Identify) -> dict:
        decided = {"policy": self._sampling(identify, SEARCHED_AS), "prm": self._scoring(identify)}
        # Left out where it is as it always was, so that what was computed before is found.
        if self.study.config["paths_end_at"] != TEXT:
            decided["paths_end_at"] = self.study.config["paths_end_at"]
        if self.study.catalog.prm(self.prm).trained_context is not None:
            decided["read_tokens"] = True  # rows of before do not have them
        if not self.study.config["search_logprobs"]:
            decided["logprobs"] = False
        return decided


def cells(study: Study) -> Iterator[Cell]:
    """Every cell that a model works on."""
    for dataset, policy in study.cells():
        if not study.is_imported(policy):
            yield Cell(study, "generate", dataset, policy)
        for prm in study.config["prms"]:
            if prm in study.scorers(policy) and not study.catalog.prm(prm).in_samples:
                yield Cell(study, "score", dataset, policy, prm)
            if study.search_blocks(policy):
                yield Cell(study, "search", dataset, policy, prm)


def record(study: Study, locked: str | None = None) -> None:
    """Write what decides each dataset and cell, where it changed or a file follows other settings.

    Snakemake compares the content of a record with that of the last run. So it also says how often
    files of other settings were found in the place of files with these; then they are made again.

    Args:
        study: its results may be in an object store.
        locked: the folder that its run locks; that of its results by default.

    Raises:
        UserError: the results folder cannot be written, or a run with other settings is writing
            there.
    """
    known = [Cell(study, "problems", dataset) for dataset in study.config["datasets"]]
    known += cells(study)
    counts, exists = study.layout.path("replaced"), _existing(study.config["results"])
    replaced = recorded(counts)

    def state(cell: Cell) -> tuple[dict, bool]:
        found = recorded(cell.record)
        is_as_wanted = digest(found.get("decided")) == digest(cell.decided)
        return found, is_as_wanted and _is_foreign(cell, exists)

    with ThreadPoolExecutor(places.THREADS) as threads:  # an object store takes its time
        states = list(threads.map(state, known))
    changed: dict[str, dict] = {}
    overwrites = False
    for cell, (found, is_foreign) in zip(known, states, strict=True):
        wanted = {"decided": cell.decided, "replaced": replaced.get(cell.stamp, 0)}
        if is_foreign:
            replaced[cell.stamp] = wanted["replaced"] = wanted["replaced"] + 1
        if digest(found) != digest(wanted):
            changed[cell.record] = wanted
            overwrites |= bool(found)
    if not changed:
        return
    # A dry run may add records beside a run, but not replace those that it goes by.
    if overwrites and is_held(locked or study.config["results"]):
        raise UserError(
            f"a run with other settings is writing to {study.config['results']}: wait for it, end "
            "it, or set another `results:`"
        )
    write_json(replaced, counts)
    for path, wanted in changed.items():
        write_json(wanted, path)


def identities(study: Study) -> Identify:
    """A function that tells a model's weights by their content, or by the commit of the hub.

    It raises a UserError for a model that is not there.
    """
    path = study.layout.path("weights")

    def identify(spec: ModelSpec) -> object:
        if spec.folder is None:
            from testtime.runtime import hub  # its client is not needed for local folders

            return hub.find(spec.model, spec.revision).commit
        known = recorded(path)
        before = dict(known)
        found = weights.digests(spec.folder, known)
        if not found:
            raise UserError(f"no model in {spec.folder}")
        if known != before:
            write_json(known, path)
        return found

    return identify


def _glance(spec: ModelSpec) -> object:
    """A model before its jobs run: trained ones by their recipe, as they need not be there yet."""
    if spec.train is not None:
        found: object = spec.train
    else:
        found = spec.model if spec.folder is None else weights.at_a_glance(spec.folder)
    return {"found": found, "revision": spec.revision}


def _existing(results: str) -> Callable[[str], bool]:
    """A function that says whether a Parquet file is among the results; one look at a store."""
    if not places.is_url(results):
        return os.path.exists
    return {f"{results}/{name}" for name in places.find(results, ".parquet")}.__contains__


def _is_foreign(cell: Cell, exists: Callable[[str], bool]) -> bool:
    """Whether a file stands in the cell's place that follows other settings."""
    paths = filter(exists, cell.study.files_of(cell.stage, **cell.names))
    return any(stamp_of(path) != cell.stamp for path in paths)


def recorded(path: str) -> dict:
    """A record of before; an empty one if there is none, or not a whole one.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return json.loads(places.read(path))
    except (FileNotFoundError, ValueError):
        return {}
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
