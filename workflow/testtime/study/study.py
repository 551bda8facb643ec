"""What a study consists of: its cells, blocks, shards and jobs, as config and catalog say."""

from collections.abc import Iterator
from dataclasses import dataclass

from testtime.present import figures
from testtime.study import work
from testtime.study.blocks import (
    COT,
    DIFFICULTY,
    block_range,
    nested_blocks,
    pool_budgets,
    shard_names,
    shard_size,
)
from testtime.study.catalog import Catalog, ModelSpec
from testtime.study.methods import METHODS, names
from testtime.study.work import Work


@dataclass(frozen=True)
class Study:
    """A valid config with its catalog; asks no file and runs no model."""

    config: dict
    catalog: Catalog

    def cells(self) -> list[tuple[str, str]]:
        """Every (dataset, policy)."""
        return [(d, p) for d in self.config["datasets"] for p in self.config["policies"]]

    def n_problems(self, dataset: str) -> int:
        """Problems of a dataset that are used, known before any of them is read."""
        size = self.catalog.dataset(dataset).size
        return min(size, self.config["problems"]["limit"] or size)

    def pool_budgets(self, policy: str) -> list[int]:
        """Budgets that the policy's pool can have."""
        spec, held_out = self.catalog.policy(policy), self.config["difficulty"]["samples"]
        return pool_budgets(spec, self.config["budgets"]["pool"], held_out)

    def budgets(self, policy: str) -> dict[str, list[int]]:
        """The study's budgets, as far as the policy's pool can have them."""
        return self.config["budgets"] | {"pool": self.pool_budgets(policy)}

    def pool_blocks(self, policy: str) -> list[str]:
        """Blocks of the nested pool."""
        return nested_blocks(self.pool_budgets(policy))

    def all_blocks(self, policy: str) -> list[str]:
        """Greedy CoT, pool and held-out samples: what is drawn of a policy."""
        cot = [COT] if "cot" in self.config["methods"] else []
        held_out = [DIFFICULTY] if self.config["difficulty"]["samples"] else []
        return [*cot, *self.pool_blocks(policy), *held_out]

    def block_samples(self, block: str) -> int:
        """How many samples per problem a block holds."""
        if block == COT:
            return 1
        if block == DIFFICULTY:
            return self.config["difficulty"]["samples"]
        return len(block_range(block))

    def tree_methods(self) -> list[str]:
        """Methods that search."""
        return [method for method in self.config["methods"] if method in names("search")]

    def search_blocks(self, method: str) -> list[str]:
        """One block per budget, or nested ones."""
        budgets = self.config["budgets"]["search"]
        return nested_blocks(budgets) if METHODS[method].nested else [str(b) for b in budgets]

    def is_imported(self, policy: str) -> bool:
        """Whether its samples were made elsewhere."""
        return self.catalog.policy(policy).samples is not None

    def has_scores(self) -> bool:
        """Whether PRMs score the pool."""
        read = [m for m in self.config["methods"] if m in names("pool") and METHODS[m].needs_prm]
        return bool(read and self.config["prms"])

    def has_quality(self) -> bool:
        """Whether PRMs can be measured: there are scores, and a dataset with labelled steps."""
        return self.has_scores() and any(
            self.catalog.dataset(dataset).source == "microcosm"
            for dataset in self.config["datasets"]
        )

    def is_scored(self) -> bool:
        """Whether PRMs read anything at all."""
        return self.has_scores() or bool(self.config["prms"] and self.tree_methods())

    def has_cross_check(self) -> bool:
        """Whether another grader may think otherwise: of answers that are not compared exactly."""
        specs = map(self.catalog.dataset, self.config["datasets"])
        return any(spec.convention != "exact" for spec in specs)

    def engine(self, spec: ModelSpec) -> str:
        """The engine of a model: its entry's, else the study's."""
        return spec.engine or self.config["engine"]

    def generation_shards(self, dataset: str, policy: str, block: str) -> list[str]:
        """Shards of a block's samples; its scores are cut in the same way."""
        if self.is_imported(policy):
            return ["1-of-1"]
        return self._shards(dataset, self.generation(dataset, policy, block).seconds)

    def search_shards(self, dataset: str, policy: str, prm: str, method: str, block: str):
        """Shards of a block of a search."""
        return self._shards(dataset, self.search(dataset, policy, prm, method, block).seconds)

    def generation(self, dataset: str, policy: str, block: str, shard: str = "1-of-1") -> Work:
        """What a job of `sample_pool` does; by default one for the whole block."""
        spec = self.catalog.policy(policy)
        samples = self._problems_in(dataset, shard) * self.block_samples(block)
        return work.drawing(spec, samples, self.engine(spec))

    def scores(self, dataset: str, policy: str, prm: str, block: str, shard: str) -> Work:
        """What a job of `score_pool` does."""
        spec = self.catalog.prm(prm)
        samples = self._problems_in(dataset, shard) * self.block_samples(block)
        return work.scoring(spec, self.catalog.policy(policy), samples, self.engine(spec))

    def search(
        self, dataset: str, policy: str, prm: str, method: str, block: str, shard: str = "1-of-1"
    ) -> Work:
        """What a job of `search_trees` does; by default one for the whole block."""
        writer, reader = self.catalog.policy(policy), self.catalog.prm(prm)
        n = len(block_range(block)) if METHODS[method].nested else int(block)
        candidates = self._problems_in(dataset, shard) * n
        engines = (self.engine(writer), self.engine(reader))
        return work.searching(
            writer,
            reader,
            method,
            candidates,
            self.config["beam_width"],
            engines,
            self.search_gpus(policy, prm),
        )

    def search_gpus(self, policy: str, prm: str) -> int:
        """GPUs of a search with these models."""
        models = self.catalog.policy(policy), self.catalog.prm(prm)
        return work.gpus_together(*models, self.config["jobs"]["gpu_gb"])

    def model_jobs(self, dataset: str, policy: str) -> Iterator[tuple[str, Work]]:
        """The jobs of a cell that run a model, as (stage, what it does)."""
        own = not self.is_imported(policy)
        scoring = [name for name in self.config["prms"] if not self.catalog.prm(name).in_samples]
        for block in self.all_blocks(policy):
            scored = self.has_scores() and block in self.pool_blocks(policy)
            for shard in self.generation_shards(dataset, policy, block):
                if own:
                    yield "generate", self.generation(dataset, policy, block, shard)
                for prm in scoring if scored else []:
                    yield "score", self.scores(dataset, policy, prm, block, shard)
        for cell in self.searches(dataset, policy):
            for shard in self.search_shards(*cell):
                yield "search", self.search(*cell, shard)

    def searches(self, dataset: str, policy: str) -> list[tuple[str, str, str, str, str]]:
        """Every (dataset, policy, PRM, method, block) that is searched for a cell."""
        return [
            (dataset, policy, prm, method, block)
            for prm in self.config["prms"]
            for method in self.tree_methods()
            for block in self.search_blocks(method)
            if not self.is_imported(policy)
        ]

    def texts(self, dataset: str, policy: str) -> int:
        """Solutions of a policy that are graded, at most."""
        drawn = self.n_problems(dataset) * sum(map(self.block_samples, self.all_blocks(policy)))
        return drawn + sum(self.search(*cell).paths for cell in self.searches(dataset, policy))

    def tokens(self, dataset: str, policy: str) -> int:
        """Tokens of all these solutions."""
        return self.texts(dataset, policy) * self.catalog.policy(policy).typical_tokens

    def grading(self, dataset: str, policy: str) -> Work:
        """What a job of `grade_samples` does."""
        return work.grading(self.tokens(dataset, policy))

    def evaluation(self, dataset: str, policy: str) -> Work:
        """What a job of `evaluate_policy` does."""
        return work.evaluating(self.texts(dataset, policy))

    def fit(self) -> Work:
        """What a job over the whole table of outcomes does."""
        return work.fitting(self.outcome_rows())

    def recipes(self) -> list[dict]:
        """Of the models that are trained first: the study's own, and those that they start from."""
        needed = {name: self.catalog.policy(name) for name in self.config["policies"]}
        for spec in map(self.catalog.prm, self.config["prms"]):
            needed[spec.name] = spec
            if spec.train is not None:
                for name in (spec.train["backbone"], *spec.train["policies"]):
                    needed[name] = self.catalog.policy(name)
        return [spec.train for spec in needed.values() if spec.train is not None]

    def figures(self) -> list[str]:
        """The figures that this study can fill."""
        return figures.applicable(
            has_prm=bool(self.config["prms"]),
            n_policies=len(self.config["policies"]),
            has_cot="cot" in self.config["methods"],
            has_scores=self.has_scores(),
            has_quality=self.has_quality(),
        )

    def notebooks(self) -> list[str]:
        """The notebooks that this study can fill; comparing with the paper takes CoT."""
        published = ["published"] if "cot" in self.config["methods"] else []
        return ["one_problem", "compute_optimal", *published]

    def outcome_rows(self) -> int:
        """Rows of the table of outcomes, about: problems by strategies, PRMs and budgets."""
        config = self.config
        choices = len(config["scorings"]) * len(config["votes"])
        pool = len(config["budgets"]["pool"]) * (2 + choices * len(config["prms"]))
        search = len(config["budgets"]["search"]) * choices * len(config["prms"])
        strategies = pool + search * len(self.tree_methods())
        return strategies * sum(self.n_problems(dataset) for dataset, _ in self.cells())

    def _problems_in(self, dataset: str, shard: str) -> int:
        return shard_size(self.n_problems(dataset), shard)

    def _shards(self, dataset: str, seconds: float) -> list[str]:
        job_seconds = 3600 * self.config["jobs"]["hours"]
        return shard_names(self.n_problems(dataset), seconds, job_seconds)
