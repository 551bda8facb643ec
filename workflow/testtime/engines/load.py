"""Loading policies and PRMs into an engine; its libraries are imported only when it is used.

An engine is a package `testtime.engines.NAME` with `policy.load_policy` and `prm.load_prm`, which
take an entry, `threads` and `beside` as the functions here, and a line in `study.catalog.ENGINES`.
"""

import gc
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from types import ModuleType

from testtime.engines.base import Policy, Prm
from testtime.errors import UserError
from testtime.study.catalog import ModelSpec, PolicySpec, PrmSpec, check_engine
from testtime.study.rates import MEASURED
from testtime.study.types import Continuation, Request, ScoreRequest, StepScores

# What transformers imports if it is installed, by engine, and nothing here uses: scikit-learn for a
# decoding method, scipy for losses of object detection. They are a sixth of a tiny model's start-up
# time. vLLM itself may use scipy.
UNUSED = {"transformers": ("scipy", "sklearn"), "vllm": ("sklearn",)}


def load_policy(
    spec: PolicySpec, *, engine: str, threads: int | None = None, beside: ModelSpec | None = None
) -> Policy:
    """Load a policy into the engine that its entry names, else into `engine`.

    Args:
        spec: its entry.
        engine: for entries that name none.
        threads: CPU threads of this process.
        beside: another model that this process holds; they share a GPU if there are too few.

    Raises:
        UserError: there is no such engine, or the model is not available or does not fit.
    """
    module = _import(spec.engine or engine, "policy")
    _find("policy", spec)
    return module.load_policy(spec, threads=threads, beside=beside)


def load_prm(
    spec: PrmSpec, *, engine: str, threads: int | None = None, beside: ModelSpec | None = None
) -> Prm:
    """Load a PRM into the engine that its entry names, else into `engine`.

    Args:
        spec: its entry.
        engine: for entries that name none.
        threads: CPU threads of this process.
        beside: another model that this process holds; they share a GPU if there are too few.

    Raises:
        UserError: there is no such engine, or the model is not available or does not fit.
    """
    module = _import(spec.engine or engine, "prm")
    _find("PRM", spec)
    return module.load_prm(spec, threads=threads, beside=beside)


class Measured:
    """A policy or PRM that is loaded when it is first used, and what its work takes.

    A job whose rows are all there loads none.

    Attributes:
        tokens: drawn or read so far.
        seconds: that its caller waited for them.
        start_seconds: until it was loaded.
    """

    def __init__(self, spec: ModelSpec, load: Callable[[], Policy | Prm]):
        self._spec, self._load, self._loaded = spec, load, None
        self.start_seconds = self.seconds = 0.0
        self.tokens = 0

    def load(self) -> Policy | Prm:
        """The model; it is loaded now, unless it was before."""
        if self._loaded is None:
            started = perf_counter()
            self._loaded = self._load()
            self.start_seconds = perf_counter() - started
        return self._loaded

    def __getattr__(self, name: str) -> object:
        """What the loaded model has besides its requests."""
        return getattr(self.load(), name)

    def submit(self, request: Request | ScoreRequest) -> int:
        """Queue a request; returns its ticket."""
        model, started = self.load(), perf_counter()
        ticket = model.submit(request)
        self.seconds += perf_counter() - started
        return ticket

    def poll(self, *, wait: bool = True) -> list[tuple[int, list[Continuation] | StepScores]]:
        """What the model's `poll` gives."""
        started = perf_counter()
        found = self.load().poll() if wait else self.load().poll(wait=False)
        self.seconds += perf_counter() - started
        self.tokens += sum(count_tokens(result) for _, result in found)
        return found

    @property
    def rate(self) -> float:
        """Tokens per second, drawn or read."""
        return self.tokens / max(self.seconds, 1e-9)

    def report(self) -> None:
        """Print what was measured, for `testtime plan --rates-from`; nothing if it did not run."""
        if self.tokens:
            role = "policies" if isinstance(self._spec, PolicySpec) else "prms"
            measured = {
                "kind": role,
                "name": self._spec.name,
                "tokens": self.tokens,
                "seconds": round(self.seconds, 3),
                "start_seconds": round(self.start_seconds, 3),
            }
            print(f"{MEASURED}{json.dumps(measured)}")


def count_tokens(result: list[Continuation] | StepScores) -> int:
    """Tokens that were drawn for a request, or read."""
    if isinstance(result, StepScores):
        return result.tokens
    return sum(len(child.token_ids) for child in result)


def _find(role: str, spec: ModelSpec) -> None:
    """Refuse a model of the hub that is not available, and log the commit that runs."""
    if spec.folder is None:
        from testtime.runtime import hub  # its client is not needed for local folders

        found = hub.find(spec.model, spec.revision)
        print(f"{role} {spec.name}: {spec.model}, commit {found.commit}", file=sys.stderr)


def _import(engine: str, module: str) -> ModuleType:
    check_engine("engine", engine)
    try:
        with _uncollected(), _hidden(*UNUSED.get(engine, ())):
            return importlib.import_module(f"testtime.engines.{engine}.{module}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("testtime"):
            raise
        raise UserError(f"engine {engine!r} is not installed: pip install {error.name}") from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """Import without Python's search for cyclic garbage, and keep it off what was imported.

    An engine's libraries make half a million objects that last as long as the process. Python would
    go through all of them time and again while they become more: a fifth of a tiny model's start-up
    time. Objects made afterwards, such as the models, are collected as ever.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Hide packages that transformers imports if they are installed.

    It asks once whether they are and remembers the answer, so nothing is hidden from it that it may
    have found before.
    """
    hidden = [] if "transformers" in sys.modules else [p for p in packages if p not in sys.modules]
    # What Python calls a module that cannot be imported.
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]
