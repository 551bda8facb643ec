"""What a study consists of: its cells, blocks, shards, files and settings."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from math import ceil, sqrt
from typing import TypeVar

from testtime.study import memory, rates, work
from testtime.study.blocks import (
    COT,
    DIFFICULTY,
    block_range,
    headline_budget,
    nested_blocks,
    pool_budgets,
    shard_around,
    shard_names,
    shard_size,
)
from testtime.study.catalog import Catalog, GpuSpec, ModelSpec, PolicySpec, of_study
from testtime.study.layout import PATTERNS, WORKFLOW, Layout, from_here, names_in, results_of
from testtime.study.methods import METHODS, names
from testtime.study.thoughts import applicable, thinking_budgets
from testtime.study.vocabulary import EASY, HARD

T = TypeVar("T")
PUBLISHED = WORKFLOW / "resources" / "published"
# Kinds of files that a policy which is only compared with does not have.
OF_STUDIED = ("difficulty", "predictions", "predictors")


def _grouped(
    policies: Iterable[str], blocks: Callable[[str], list[T]]
) -> list[tuple[list[T], list[str]]]:
    """Policies by their blocks."""
    groups: dict[tuple[T, ...], list[str]] = {}
    for policy in policies:
        groups.setdefault(tuple(blocks(policy)), []).append(policy)
    return [(list(known), own) for known, own in groups.items()]


def study_of(config: dict, path: str) -> "Study":
    """The study of a job, with its results folder where the job has its files.

    Args:
        config: of the workflow.
        path: a file of the job below the results folder.
    """
    here = config | {"results": results_of(path)}
    return Study(here, of_study(here))


@dataclass(frozen=True)
class Study:
    """A valid config with its catalog; it runs no model."""

    config: dict
    catalog: Catalog

    @cached_property
    def layout(self) -> Layout:
        """Where its files are."""
        return Layout(self.config["results"])

    @property
    def store(self) -> str:
        """The place of its rows: a folder, or a URL."""
        return (self.config["store"] or self.layout.folder("store")).rstrip("/")

    # Its parts.

    def cells(self) -> list[tuple[str, str]]:
        """Every (dataset, policy)."""
        return [(d, p) for d in self.config["datasets"] for p in self.config["policies"]]

    def n_problems(self, dataset: str, shard: str = "1-of-1") -> int:
        """Number of problems used of a dataset, or of one shard; known before reading them."""
        size = self.catalog.dataset(dataset).size
        return shard_size(min(size, self.config["problems"]["limit"] or size), shard)

    def methods(self, policy: str | None = None) -> list[str]:
        """Methods of a policy; of all policies together by default."""
        if policy is None:
            known = [name for p in self.config["policies"] for name in self.methods(p)]
            return list(dict.fromkeys(known))
        own = self._own(policy).get("methods", self.config["methods"])
        return applicable(own, self.thinks(policy))

    def thinks(self, policy: str) -> list[int]:
        """The thinking budgets T of a policy that thinks; none if it does not."""
        return thinking_budgets(self.config, self.catalog.policy(policy))

    def thought_ends(self, policy: str) -> str | None:
        """The text that ends a policy's thoughts, None if it does not think."""
        spec = self.catalog.policy(policy)
        return None if spec.thinking is None else spec.thinking.close

    def given_samples(self, dataset: str, policy: str) -> list[str]:
        """The files of a policy's imported samples for a dataset, one per thinking budget."""
        spec = self.catalog.policy(policy)
        return [spec.samples_of(dataset, thinking) for thinking in self.thinks(policy) or [0]]

    def budgets(self, kind: str, policy: str | None = None) -> list[int]:
        """Budgets of a policy, "pool", "search" or "thinking"; of all together by default."""
        if policy is None:
            known = {n for p in self.config["policies"] for n in self.budgets(kind, p)}
            return sorted(known)
        return self._own(policy).get("budgets", {}).get(kind, self.config["budgets"][kind])

    def _own(self, policy: str) -> dict:
        return self.config["per_policy"].get(policy, {})

    def is_studied(self, policy: str) -> bool:
        """Whether a policy spends a budget; others are only compared with, by their CoT."""
        return any(METHODS[name].kind != "greedy" for name in self.methods(policy))

    def pool_budgets(self, policy: str) -> list[int]:
        """Budgets that the policy's pool can have; none if it is only compared with."""
        if not self.is_studied(policy):
            return []
        spec, held_out = self.catalog.policy(policy), self.config["difficulty"]["samples"]
        return pool_budgets(spec, self.budgets("pool", policy), held_out)

    def pool_blocks(self, policy: str) -> list[str]:
        """Blocks of the nested pool."""
        return nested_blocks(self.pool_budgets(policy))

    def all_blocks(self, policy: str) -> list[str]:
        """CoT, pool and held-out samples: the blocks drawn from a policy."""
        held_out = self.is_studied(policy) and self.config["difficulty"]["samples"]
        return [*self._cot(policy), *self.pool_blocks(policy), *([DIFFICULTY] if held_out else [])]

    def _cot(self, policy: str) -> list[str]:
        return [COT] if COT in self.methods(policy) else []

    def block_samples(self, policy: str, block: str) -> int:
        """How many samples per problem a block holds."""
        if block == COT:
            return self.catalog.policy(policy).cot_samples or 1
        if block == DIFFICULTY:
            return self.config["difficulty"]["samples"]
        return len(block_range(block))

    def search_methods(self, policy: str | None = None) -> list[str]:
        """Methods that search."""
        return [name for name in self.methods(policy) if METHODS[name].kind == "search"]

    def weighing_modules(self) -> list[str]:
        """Files of the methods that choose among samples, which `evaluate` imports by name."""
        chosen = [METHODS[name] for name in self.methods() if name not in names("search")]
        chosen += [METHODS[method.reads] for method in chosen if method.reads]
        modules = dict.fromkeys(method.module.replace(".", "/") for method in chosen)
        return [f"workflow/{module}.py" for module in modules]

    def search_blocks(self, policy: str) -> list[tuple[str, str]]:
        """Method and block of every search of a policy with a PRM: one per budget, or nested."""
        if self.is_imported(policy):
            return []
        budgets = self.budgets("search", policy)
        return [
            (method, block)
            for method in self.search_methods(policy)
            for block in (nested_blocks(budgets) if METHODS[method].nested else map(str, budgets))
        ]

    def searches(self, dataset: str, policy: str) -> list[dict[str, str]]:
        """Every search of a cell: its dataset, policy, prm, method and block."""
        return [
            {"dataset": dataset, "policy": policy, "prm": prm, "method": method, "block": block}
            for prm in self.config["prms"]
            for method, block in self.search_blocks(policy)
        ]

    def is_imported(self, policy: str) -> bool:
        """Whether its samples are imported."""
        return self.catalog.policy(policy).is_given

    def has(self, condition: str) -> bool:
        """Whether a condition holds that a figure, table or notebook may need.

        Args:
            condition: "prms"; "cot", CoT among the methods of some policy; "scores", the samples of
                some pool have step scores; "quality", PRMs can be measured, as some dataset's steps
                are labelled; "scored", some PRM reads anything; "two_policies"; "thinks", some
                policy thinks and its thoughts are limited; "stops", some method may stop before N
                samples; "cross_check",
                answers are compared in a way on which another grader may disagree.
        """
        config = self.config
        prms, searches = bool(config["prms"]), bool(self.search_methods())
        scores = any(self._is_scored(policy) for policy in config["policies"])
        conventions = [self.catalog.dataset(name).convention for name in config["datasets"]]
        return {
            "prms": prms,
            "cot": COT in self.methods(),
            "scores": scores,
            "quality": scores and bool(self.setting("labelled")),
            "scored": scores or (prms and searches),
            "two_policies": len(config["policies"]) > 1,
            "thinks": any(self.thinks(policy) for policy in config["policies"]),
            "stops": any(METHODS[name].stops for name in self.methods()),
            "cross_check": any(convention != "exact" for convention in conventions),
        }[condition]

    def sampled_together(self) -> list[tuple[list[str], list[str]]]:
        """The blocks that are drawn from policies, with the policies that have the same ones."""
        drawn = [p for p in self.config["policies"] if not self.is_imported(p)]
        return _grouped(drawn, self.all_blocks)

    def imported_together(self) -> list[tuple[list[str], list[str]]]:
        """Patterns of imported samples and the scores among them, with the policies of each."""
        prms = [prm for prm in self.config["prms"] if self.catalog.prm(prm).in_samples]

        def patterns(policy: str) -> list[str]:
            pattern = self.layout.pattern
            samples = [pattern("generations", block=block) for block in self.all_blocks(policy)]
            blocks = self.pool_blocks(policy) if self._is_scored(policy) else []
            scores = [pattern("scores", prm=prm, block=block) for prm in prms for block in blocks]
            return samples + scores

        return _grouped(filter(self.is_imported, self.config["policies"]), patterns)

    def scored_together(self) -> list[tuple[list[str], list[str]]]:
        """The blocks of pools that PRMs score, with the policies that have the same ones."""
        return _grouped(filter(self._is_scored, self.config["policies"]), self.pool_blocks)

    def searched_together(self) -> list[tuple[list[tuple[str, str]], list[str]]]:
        """The searches (method, block) of policies, with the policies that have the same ones."""
        searching = [p for p in self.config["policies"] if self.search_blocks(p)]
        return _grouped(searching if self.config["prms"] else [], self.search_blocks)

    def scorers(self, policy: str) -> list[str]:
        """The PRMs that score a policy's pool."""
        return self.config["prms"] if self._is_scored(policy) else []

    def _is_scored(self, policy: str) -> bool:
        reading = [name for name in names("pool") if METHODS[name].needs_prm]
        return bool(self.config["prms"]) and any(name in self.methods(policy) for name in reading)

    # How its work is divided.

    def engine(self, spec: ModelSpec) -> str:
        """The engine of a model: its entry's, else the study's."""
        return spec.engine or self.config["engine"]

    def search_engines(self, policy: str, prm: str) -> list[str]:
        """The engines of a search's policy and PRM."""
        return [self.engine(self.catalog.policy(policy)), self.engine(self.catalog.prm(prm))]

    def search_environment(self, policy: str, prm: str) -> str:
        """The engine whose environment a search runs in: each can also run transformers."""
        others = [e for e in self.search_engines(policy, prm) if e != "transformers"]
        return others[0] if others else "transformers"

    def search_gpus(self, policy: str, prm: str) -> int:
        """GPUs of a search with these models."""
        models = self.catalog.policy(policy), self.catalog.prm(prm)
        return memory.gpus_together(*models, self.gpu.memory_gb)

    @property
    def gpu(self) -> GpuSpec:
        """The kind of GPU that its jobs are planned for."""
        return self.catalog.gpu(self.config["jobs"]["gpu"])

    def rate(self, spec: ModelSpec, beside: ModelSpec | None = None) -> float:
        """Tokens per second that a model draws, or reads, beside another one on its GPU."""
        if isinstance(spec, PolicySpec):
            return rates.drawing(spec, self.gpu, self.engine(spec), beside)
        return rates.reading(spec, self.gpu)

    def speeds(self, policy: str) -> dict[str, dict]:
        """A policy's `Speed` and those of the PRMs, by name, as plain values."""
        specs = [self.catalog.policy(policy), *map(self.catalog.prm, self.config["prms"])]
        return {s.name: asdict(rates.speed(s, self.gpu, self.engine(s))) for s in specs}

    def shards(self, dataset: str, policy: str) -> list[str]:
        """Shards of a policy's samples."""
        if self.is_imported(policy):
            return ["1-of-1"]
        return shard_names(self._cuts(dataset, self.drawing(dataset, policy)))

    def score_shards(self, dataset: str, policy: str, prm: str) -> list[str]:
        """Shards of a PRM's scores: those of the samples, or several of each."""
        whole = len(self.shards(dataset, policy))
        if self.catalog.prm(prm).in_samples:
            return shard_names(whole)
        wanted = self._cuts(dataset, self.scoring(dataset, policy, prm))
        parts = min(ceil(wanted / whole), self.n_problems(dataset) // whole)
        return shard_names(whole * max(1, parts))

    def search_shards(self, dataset: str, policy: str, prm: str) -> list[str]:
        """Shards of the searches of a policy with a PRM."""
        return shard_names(self._cuts(dataset, self.searching(dataset, policy, prm)))

    def drawing(self, dataset: str, policy: str, shard: str = "1-of-1") -> work.Work:
        """The work of drawing a policy's samples, of one shard; by default of all."""
        spec = self.catalog.policy(policy)
        samples = sum(self.block_samples(policy, block) for block in self.all_blocks(policy))
        samples *= self.n_problems(dataset, shard)
        return work.drawing(spec, samples, self.engine(spec), self.rate(spec), self.thinks(policy))

    def scoring(self, dataset: str, policy: str, prm: str, shard: str = "1-of-1") -> work.Work:
        """The work of scoring a policy's pool, of one shard; by default of all."""
        spec = self.catalog.prm(prm)
        samples = self.n_problems(dataset, shard) * self.pool_budgets(policy)[-1]
        writer = self.catalog.policy(policy)
        speed = self.engine(spec), self.rate(spec)
        return work.scoring(spec, writer, samples, *speed, self.thinks(policy))

    def searching(self, dataset: str, policy: str, prm: str, shard: str = "1-of-1") -> work.Work:
        """The work of all searches of a policy with a PRM, of one shard; by default of all."""
        writer, reader = self.catalog.policy(policy), self.catalog.prm(prm)
        problems, gpus = self.n_problems(dataset, shard), self.search_gpus(policy, prm)
        shared = gpus < writer.gpus + reader.gpus
        speeds = self.rate(writer, reader if shared else None), self.rate(reader)
        return work.total(
            work.searching(
                writer,
                reader,
                method,
                problems * self._candidates(method, block),
                tuple(self.search_engines(policy, prm)),
                speeds,
                gpus,
            )
            for method, block in self.search_blocks(policy)
        )

    def _candidates(self, method: str, block: str) -> int:
        """Of a search of one problem, all of its independent runs."""
        if METHODS[method].nested:
            return len(block_range(block))
        return int(block) * self.config["search_runs"]

    def _cuts(self, dataset: str, job: work.Work) -> int:
        """Into how many shards a cell's work is cut: each takes `jobs: hours`, or less on a fleet.

        If jobs take h seconds, a fleet that needs T seconds for all spends start·T/h on starts, and
        its GPUs wait h/2 in the mean for the last job. The sum is least at h² = 2·start·T.
        """
        longest = 3600 * self.config["jobs"]["hours"]
        if self.config["jobs"]["fleet"] and job.gpus:
            share = self._gpu_seconds / self.config["jobs"]["fleet"]
            longest = min(longest, sqrt(2 * job.start_seconds * share))
        return max(1, min(ceil(job.seconds / longest), self.n_problems(dataset)))

    @cached_property
    def _gpu_seconds(self) -> float:
        """GPU-seconds of all models' work, starts not counted."""
        jobs = []
        for cell in self.cells():
            prms = self.scorers(cell[1])
            jobs += [] if self.is_imported(cell[1]) else [self.drawing(*cell)]
            jobs += [self.scoring(*cell, prm) for prm in prms]
            jobs += [self.searching(*cell, prm) for prm in prms if self.search_blocks(cell[1])]
        return sum(job.gpus * job.seconds for job in jobs)

    # Its files, as rules and readers name them.

    def paths_of(self, name: str) -> list[str]:
        """The files of one kind, for analyses of the whole study.

        Args:
            name: a kind of `study.layout.PATTERNS` with one file per study, dataset or cell; a
                table; "generations", "scores" and "searches", all that a PRM has read; "thoughts",
                the pools of policies that think; "first_generations" and "first_scores", the pool's
                first block alone; "published", the figures of the reproduced study.
        """
        if name == "published":
            return [from_here(path) for path in sorted(PUBLISHED.glob("*.csv"))]
        by_cell = {
            "generations": self._scored_samples,
            "scores": lambda *cell: self.step_scores(*cell, self.pool_blocks(cell[1])),
            "searches": self.search_files,
            "thoughts": self._thoughts,
            "first_generations": lambda *cell: self.probed(*cell)["generations"],
            "first_scores": lambda *cell: self.probed(*cell)["scores"],
        }
        if name in by_cell:
            return [path for cell in self.cells() for path in by_cell[name](*cell)]
        match names_in(name) if name in PATTERNS else None:
            case ("dataset", "policy"):
                cells = self.cells()
                if name in OF_STUDIED:
                    cells = [cell for cell in cells if self.is_studied(cell[1])]
                return [self.layout.path(name, dataset=d, policy=p) for d, p in cells]
            case ("dataset",):
                return [self.layout.path(name, dataset=d) for d in self.config["datasets"]]
            case ():
                return [self.layout.path(name)]
        return [self.layout.path("table", table=name)]

    def samples(self, dataset: str, policy: str, blocks: list[str]) -> list[str]:
        """Files of a policy's samples in some blocks."""
        return [
            self.layout.path("generations", dataset=dataset, policy=policy, block=b, shard=shard)
            for b in blocks
            for shard in self.shards(dataset, policy)
        ]

    def _thoughts(self, dataset: str, policy: str) -> list[str]:
        """Files of the pool of a policy whose thoughts are cut here, none of another."""
        cut = self.thinks(policy) and not self.is_imported(policy)
        return self.samples(dataset, policy, self.pool_blocks(policy)) if cut else []

    def step_scores(self, dataset: str, policy: str, blocks: list[str]) -> list[str]:
        """Files of every PRM's scores of some blocks; none where the pool is not scored."""
        prms = self.scorers(policy)
        return [path for prm in prms for path in self.scores_by(prm, dataset, policy, blocks)]

    def scores_by(self, prm: str, dataset: str, policy: str, blocks: list[str]) -> list[str]:
        """Files of one PRM's scores of some blocks."""
        names = {"dataset": dataset, "policy": policy, "prm": prm}
        shards = self.score_shards(**names)
        return [
            self.layout.path("scores", **names, block=block, shard=shard)
            for block in blocks
            for shard in shards
        ]

    def read_by(self, dataset: str, policy: str, prm: str, shard: str) -> list[str]:
        """Files of the samples that a shard of a PRM's scores needs."""
        around = shard_around(shard, len(self.shards(dataset, policy)))
        return [
            self.layout.path("generations", dataset=dataset, policy=policy, block=b, shard=around)
            for b in self.pool_blocks(policy)
        ]

    def search_files(self, dataset: str, policy: str) -> list[str]:
        """Files of all searches of a cell."""
        prms = self.config["prms"] if self.search_blocks(policy) else []
        return [path for prm in prms for path in self.searches_by(prm, dataset, policy)]

    def searches_by(self, prm: str, dataset: str, policy: str) -> list[str]:
        """Files of the searches with one PRM."""
        shards = self.search_shards(dataset, policy, prm)
        return [
            self.layout.path("searches", **search, shard=shard)
            for search in self.searches(dataset, policy)
            if search["prm"] == prm
            for shard in shards
        ]

    def files_of(
        self, stage: str, dataset: str, policy: str | None = None, prm: str | None = None
    ) -> list[str]:
        """The files of a dataset or cell that a stage makes.

        Args:
            stage: "problems", "generate", "score" or "search".
            dataset: of the cell.
            policy: of the cell, where it has one.
            prm: of the cell, where it has one.
        """
        if stage == "problems":
            return [self.layout.path(kind, dataset=dataset) for kind in ("problems", "answers")]
        if stage == "generate":
            return self.samples(dataset, policy, self.all_blocks(policy))
        if stage == "score":
            return self.scores_by(prm, dataset, policy, self.pool_blocks(policy))
        return self.searches_by(prm, dataset, policy)

    def graded(self, dataset: str, policy: str) -> dict[str, list[str]]:
        """Files of all texts of a cell that contain answers."""
        return {
            "generations": self.samples(dataset, policy, self.all_blocks(policy)),
            "searches": self.search_files(dataset, policy),
        }

    def evaluated(self, dataset: str, policy: str) -> dict[str, list[str]]:
        """Files from which a cell's strategies are evaluated."""
        blocks = self.pool_blocks(policy)
        return {
            "generations": self.samples(dataset, policy, self._cot(policy) + blocks),
            "scores": self.step_scores(dataset, policy, blocks),
            "searches": self.search_files(dataset, policy),
        }

    def texts(self, dataset: str, policy: str) -> list[str]:
        """The same in one list: what a cell's examples are shown from."""
        return [path for paths in self.evaluated(dataset, policy).values() for path in paths]

    def probed(self, dataset: str, policy: str) -> dict[str, list[str]]:
        """Files of a cell's first samples, and of each PRM's scores of them."""
        block = self.pool_blocks(policy)[:1]
        return {
            "generations": self.samples(dataset, policy, block),
            "scores": self.step_scores(dataset, policy, block),
        }

    def trained(self, *names: str) -> list[str]:
        """The folders of those of these models that the study trains."""
        recipes = self.recipes()
        return [self.layout.path("model", name=name) for name in names if name in recipes]

    def model_folder(self, policy: str) -> str:
        """A policy's folder: trained by this study, or one that exists."""
        spec = self.catalog.policy(policy)
        return self.layout.path("model", name=policy) if spec.train else str(spec.folder)

    def problem_file(self, dataset: str) -> list[str]:
        """The file that a dataset's problems come from; none if generated or from the hub."""
        spec = self.catalog.dataset(dataset)
        return [spec.path] if spec.source == "file" else []

    def _scored_samples(self, dataset: str, policy: str) -> list[str]:
        blocks = self.pool_blocks(policy) if self._is_scored(policy) else []
        return self.samples(dataset, policy, blocks)

    # Its settings, as rules hand them on.

    def setting(self, name: str) -> object:
        """One fact about the study that an analysis needs, as plain values.

        Args:
            name: "policies" and "prm_parameters", the number of weights of each; "pretraining",
                tokens that each policy was trained on; "trained_contexts", most tokens of a text
                that each PRM was trained on, None where it reads no more; "rates", tokens per
                second of each model that runs; "conventions" of the datasets; "labelled", datasets
                whose steps are known to be right or wrong; "methods" and "budgets" of any policy;
                "headline", the budget of figures that show one; "thresholds" of Pass@1, easy from
                and hard below; else a key of the config.
        """
        config, catalog = self.config, self.catalog
        policies = {name: catalog.policy(name) for name in config["policies"]}
        prms = {name: catalog.prm(name) for name in config["prms"]}
        datasets = {name: catalog.dataset(name) for name in config["datasets"]}
        derived = {
            "policies": {name: spec.parameters for name, spec in policies.items()},
            "prm_parameters": {name: spec.parameters for name, spec in prms.items()},
            "pretraining": {name: spec.pretraining_tokens for name, spec in policies.items()},
            "trained_contexts": {name: spec.trained_context for name, spec in prms.items()},
            "rates": {
                name: None if spec.is_given else self.rate(spec)
                for name, spec in (policies | prms).items()
            },
            "conventions": {name: spec.convention for name, spec in datasets.items()},
            "labelled": [name for name, spec in datasets.items() if spec.source == "microcosm"],
            "methods": self.methods(),
            "budgets": {kind: self.budgets(kind) for kind in config["budgets"]},
            "headline": headline_budget(config["budgets"]),
            "thresholds": {level: config["difficulty"][level] for level in (EASY, HARD)},
        }
        return derived[name] if name in derived else config[name]

    def settings(self, *names: str) -> dict[str, object]:
        """Several of them, by name."""
        return {name: self.setting(name) for name in names}

    def import_settings(self, policy: str) -> dict:
        """Which part of a file of samples is the pool, which is held out and which is CoT's.

        `part` says whether only a part of the dataset's problems is used.
        """
        return {
            "pool": max(self.pool_budgets(policy), default=0),
            "held_out": self.config["difficulty"]["samples"],
            "chains": self.catalog.policy(policy).cot_samples or 0,
            "part": self.config["problems"]["limit"] is not None,
        }

    def recipes(self) -> dict[str, dict]:
        """Recipes of the models that a study may train, by name."""
        known = self.catalog.policies | self.catalog.prms
        return {name: spec.train for name, spec in known.items() if spec.train is not None}

    def smallest(self) -> str:
        """The policy with the fewest weights that spends a budget."""
        sizes = {p: n for p, n in self.setting("policies").items() if self.is_studied(p)}
        return min(sizes, key=sizes.get)
