"""What is known about each policy, PRM and dataset; entries determine behaviour, names never do."""

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TypeVar

import yaml

from testtime.errors import UserError
from testtime.study.layout import ROOT, WORKFLOW, Layout
from testtime.study.schema import check
from testtime.study.types import Sampling

KINDS = ("policies", "prms", "datasets", "gpus")


@dataclass(frozen=True)
class Engine:
    """What is known of an engine, a package of `testtime.engines`, without importing it.

    Attributes:
        start_seconds: until it is ready to load a model.
        step_seconds: that it takes by itself for each token of a batch, on a GPU.
        sequences: most that it draws together on a GPU.
        package: Python package that it needs, and the extra of this one that installs it.
        most_gpus: of one model; None for any number.
        pickled_policies: whether it reads policies whose weights are pickled; any reads such PRMs.
        loads_in_parts: whether each GPU's share of the weights passes through RAM by itself.
        in_background: whether it works, on GPUs, while the process that uses it does other things.
        cpu_gb: gigabytes of RAM that a model on the CPU takes more than its entry says.
    """

    start_seconds: float
    step_seconds: float
    sequences: int
    package: str
    most_gpus: int | None = None
    pickled_policies: bool = False
    loads_in_parts: bool = False
    in_background: bool = False
    cpu_gb: float = 0.0


ENGINES = {
    # It starts every kernel of a step one by one.
    "transformers": Engine(0.5, 0.03, 1024, "transformers", most_gpus=1),
    # It compiles and measures its memory; its workers map the files and keep their own part.
    "vllm": Engine(
        60.0,
        0.004,
        1024,
        "vllm",
        pickled_policies=True,
        loads_in_parts=True,
        in_background=True,
        cpu_gb=2.0,
    ),
}


@dataclass(frozen=True)
class ModelSpec:
    """What policies and PRMs share.

    Attributes:
        parameters: number of weights, the P of FLOPs = 2·P·tokens.
        model: hub id, or a local folder (relative to the repository root or absolute).
        revision: commit or tag on the hub; None for local folders.
        context: most tokens the model reads, prompt included.
        dtype: torch name of the precision, e.g. "bfloat16".
        gpus: GPUs of one tensor-parallel group; 0 runs on the CPU.
        memory_gb: RAM that a model on the CPU needs, for weights and cache; on GPUs, their memory
            is divided by `study.memory`.
        weight_bytes: bytes of a weight where the files are quantised; None for those of `dtype`.
        kv_bytes: bytes of one token's keys and values in all layers; None for a guess.
        rate: measured tokens per second of that group, for planning shards and run times; None for
            what `study.rates` expects.
        start_seconds: measured until it is loaded; None for what is expected.
        engine: one of `ENGINES`; None takes the study's.
        train: recipe from which the workflow trains the model; None for a model that exists.
    """

    name: str
    parameters: float
    model: str = ""
    context: int = 4096
    revision: str | None = None
    dtype: str = "bfloat16"
    gpus: int = 0
    memory_gb: float = 2.0
    weight_bytes: float | None = None
    kv_bytes: float | None = None
    rate: float | None = None
    start_seconds: float | None = None
    engine: str | None = None
    gated: bool = False
    train: dict | None = None

    @property
    def is_given(self) -> bool:
        """Whether what the model would make comes from a file, so that no engine runs it."""
        return False

    @property
    def folder(self) -> Path | None:
        """The local folder of the model, or None for a hub id."""
        for candidate in (Path(self.model), ROOT / self.model):
            if candidate.is_dir():
                return candidate
        return None

    @property
    def location(self) -> str:
        """What a loader takes: the absolute local folder, else the hub id."""
        return str(self.folder.resolve()) if self.folder else self.model


@dataclass(frozen=True)
class Thinking:
    """How a policy thinks before it answers.

    Attributes:
        open: text given after the prompt, where neither its template nor the policy writes it.
        close: text of the one token that ends a thought.
        cue: given after a thought that was cut, before its answer.
        answer_tokens: most tokens of an answer.
        go_on: put in the place of the thought's end, so that it goes on until it is cut
            (Muennighoff et al. 2025, "s1: Simple test-time scaling", arXiv 2501.19393); empty to
            let it end.
    """

    close: str = "</think>"
    cue: str = "\n\n\\boxed{"
    open: str = ""
    answer_tokens: int = 1024
    go_on: str = ""


@dataclass(frozen=True)
class PolicySpec(ModelSpec):
    """A policy and how it is prompted and sampled.

    Attributes:
        pretraining_tokens: tokens seen in training, the D of 6·P·D; None where unpublished.
        prompt: name of a prompt in `testtime.engines.text`.
        separator: text that ends a step.
        max_tokens: most new tokens of a whole sample (CoT, best-of-N).
        step_tokens: most new tokens of one step of a search.
        max_steps: most steps of a search.
        typical_tokens: usual length of a sample, for planning.
        cot_samples: CoT is the mean over so many samples; None for one greedy sample.
        thinking: how it thinks before it answers; None if it does not.
        samples: file with completions made elsewhere; then no engine runs. "{dataset}" in it stands
            for the dataset's name, "{thinking}" for the thinking budget of a file for each.
        n_samples: how many of each problem that file holds; larger budgets are left out. None if it
            holds enough for all.
    """

    pretraining_tokens: float | None = None
    prompt: str = "boxed"
    separator: str = "\n\n"
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 8192
    step_tokens: int = 2048
    max_steps: int = 40
    typical_tokens: int = 600
    cot_samples: int | None = None
    thinking: Thinking | None = None
    samples: str | None = None
    n_samples: int | None = None

    def __post_init__(self) -> None:
        """Entries hold plain values."""
        if isinstance(self.thinking, dict):
            object.__setattr__(self, "thinking", Thinking(**self.thinking))

    @property
    def is_given(self) -> bool:
        """Whether its samples come from a file."""
        return self.samples is not None

    def samples_of(self, dataset: str, thinking: int = 0) -> str:
        """The file with its completions for a dataset, at a thinking budget."""
        return self.samples.replace("{dataset}", dataset).replace("{thinking}", str(thinking))

    @property
    def sampling(self) -> Sampling:
        """How the policy's tokens are drawn, greedy CoT aside."""
        return Sampling(self.temperature, self.top_p, self.top_k)


@dataclass(frozen=True)
class PrmFormat:
    """Where a PRM format is implemented, and what in a model's files identifies it.

    Only a custom head identifies a format: a plain language model may be read in several.

    Attributes:
        module: in `testtime.prms`.
        architecture: of the head, as `config.json` names it; vllm reads a two-class head by it.
        weight: one that only the head has.
    """

    module: str
    architecture: str | None = None
    weight: str | None = None


PRM_FORMATS = {
    "math-shepherd": PrmFormat("math_shepherd"),
    "rlhflow": PrmFormat("rlhflow"),
    "skywork": PrmFormat("skywork", "Qwen2ForPrmModel", "v_head.summary.weight"),
    "qwen2.5-math-prm": PrmFormat(
        "qwen25_math_prm", "Qwen2ForProcessRewardModel", "score.2.weight"
    ),
}


@dataclass(frozen=True)
class PrmSpec(ModelSpec):
    """A process reward model.

    Attributes:
        format: one of `PRM_FORMATS`: its text and where its scores are read.
        in_samples: its step scores come with the policies' files of samples; then no engine runs.
        trained_context: most tokens of a text that it was trained on, where it is to read more:
            given, `context` may exceed its positions, and what is read beyond is counted. None
            where `context` is not beyond.
        card: an example with the scores that its authors print: source, problem, steps, scores.
    """

    format: str = ""
    in_samples: bool = False
    trained_context: int | None = None
    card: dict | None = None

    @property
    def is_given(self) -> bool:
        """Whether its scores come with the samples."""
        return self.in_samples


@dataclass(frozen=True)
class DatasetSpec:
    """Where problems come from.

    Attributes:
        source: "microcosm" (generated), "file" (JSONL or Parquet) or "hub".
        path: the file, or the hub's dataset id.
        columns: names of the columns problem_id, problem, answer, level in the source.
        size: number of problems.
        convention: how answers are compared, see `testtime.grade`.
    """

    name: str
    source: str
    size: int
    path: str | None = None
    revision: str | None = None
    subset: str | None = None
    split: str = "test"
    columns: dict[str, str] = field(default_factory=dict)
    convention: str = "math"


@dataclass(frozen=True)
class GpuSpec:
    """A kind of GPU, by its maker's figures.

    Attributes:
        teraflops: dense arithmetic in bfloat16.
        bandwidth_gb_s: of its memory.
    """

    name: str
    memory_gb: float
    teraflops: float
    bandwidth_gb_s: float


Spec = TypeVar("Spec", PolicySpec, PrmSpec, DatasetSpec, GpuSpec)


@dataclass(frozen=True)
class Catalog:
    """Every known entry by kind and name."""

    policies: dict[str, PolicySpec]
    prms: dict[str, PrmSpec]
    datasets: dict[str, DatasetSpec]
    gpus: dict[str, GpuSpec]

    def policy(self, name: str) -> PolicySpec:
        """The policy of this name, or of this local folder."""
        return _find(self.policies, name, "policy")

    def prm(self, name: str) -> PrmSpec:
        """The PRM of this name, or of this local folder."""
        return _find(self.prms, name, "prm")

    def dataset(self, name: str) -> DatasetSpec:
        """The dataset of this name."""
        return _find(self.datasets, name, "dataset")

    def gpu(self, name: str) -> GpuSpec:
        """The kind of GPU of this name."""
        return _find(self.gpus, name, "GPU")


def load(extra: dict[str, dict] | None = None) -> Catalog:
    """Read `workflow/catalog/*.yaml`, with a study's own entries on top.

    Args:
        extra: kind -> name -> entry. An entry with `base: NAME` starts from that entry; one that
            names a known entry changes the keys it gives.

    Raises:
        UserError: an entry has an unknown key or a wrong value; names the entry, key and value.
    """
    extra = extra or {}
    check(extra, "catalog", where="catalog")
    entries = {kind: _read(kind) for kind in KINDS}
    for kind in KINDS:
        for name, entry in (extra.get(kind) or {}).items():
            base = entry.get("base", name)
            given = {key: value for key, value in entry.items() if key != "base"}
            if base not in entries[kind] and base != name:
                raise UserError(
                    f"config catalog.{kind}.{name}.base: {base!r} is not in the catalog; "
                    f"known: {', '.join(sorted(entries[kind]))}"
                )
            entries[kind][name] = entries[kind].get(base, {}) | given
    for kind in ("policies", "prms"):
        for name, entry in entries[kind].items():
            if entry.get("engine") is not None:
                check_engine(f"config catalog.{kind}.{name}.engine:", entry["engine"])
    for name, entry in entries["prms"].items():
        if "format" in entry:
            check_format(f"config catalog.prms.{name}.format:", entry["format"])
        trained, context = entry.get("trained_context"), entry.get("context", ModelSpec.context)
        if trained is not None and trained >= context:
            raise UserError(
                f"config catalog.prms.{name}.trained_context: {trained} is not below its context "
                f"{context}; allowed: less, or null"
            )
    return Catalog(
        policies=_specs(PolicySpec, entries["policies"], "policies"),
        prms=_specs(PrmSpec, entries["prms"], "prms"),
        datasets=_specs(DatasetSpec, entries["datasets"], "datasets"),
        gpus=_specs(GpuSpec, entries["gpus"], "gpus"),
    )


def of_study(config: dict) -> Catalog:
    """The catalog of a study: its own entries included, trained models found among its results."""
    catalog = load(config["catalog"])
    layout = Layout(config["results"])
    return replace(
        catalog,
        policies=_trained_in(layout, catalog.policies),
        prms=_trained_in(layout, catalog.prms),
    )


def as_params(spec: ModelSpec, *names: str) -> dict:
    """The named parts of a spec, as plain values for a rule's params."""
    values = asdict(spec)
    return {name: values[name] for name in names}


def check_engine(what: str, engine: str) -> None:
    """Refuse an unknown engine.

    Raises:
        UserError: says what named it, the name and what is allowed.
    """
    if engine not in ENGINES:
        raise UserError(f"{what} {engine!r} is not known; allowed: {', '.join(ENGINES)}")


def check_format(what: str, format: str) -> None:
    """Refuse an unknown PRM format.

    Raises:
        UserError: says what named it, the name and what is allowed.
    """
    if format not in PRM_FORMATS:
        raise UserError(f"{what} {format!r} is not known; allowed: {', '.join(PRM_FORMATS)}")


def _read(kind: str) -> dict[str, dict]:
    entries: dict[str, dict] = {}
    for path in sorted((WORKFLOW / "catalog").glob(f"{kind}*.yaml")):
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        check({kind: loaded}, "catalog", where=str(path))
        entries |= loaded
    return entries


def _specs(cls: type[Spec], entries: dict[str, dict], kind: str) -> dict[str, Spec]:
    specs = {}
    for name, entry in entries.items():
        try:
            specs[name] = cls(name=name, **entry)
        except TypeError as error:
            missing = [f.name for f in fields(cls) if f.name in str(error)]
            raise UserError(
                f"config catalog.{kind}.{name}: {', '.join(missing) or error} must be given"
            ) from error
    return specs


def _trained_in(layout: Layout, specs: dict[str, Spec]) -> dict[str, Spec]:
    places = {name: str(Path(layout.path("model", name=name))) for name in specs}
    return {
        name: replace(spec, model=places[name]) if spec.train else spec
        for name, spec in specs.items()
    }


def _find(entries: dict[str, Spec], name: str, kind: str) -> Spec:
    if name in entries:
        return entries[name]
    raise UserError(f"{kind} {name!r} is not in the catalog; known: {', '.join(sorted(entries))}")
