"""Loading policies and PRMs into an engine; the heavy libraries are imported only when used."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from testtime.engines.base import Policy, Prm
from testtime.errors import UserError
from testtime.study.catalog import ModelSpec, PolicySpec, PrmSpec

ENGINES = ("transformers", "vllm")


def load_policy(spec: PolicySpec, *, engine: str, threads: int | None = None) -> Policy:
    """Load a policy into the engine that its entry names, else into `engine`."""
    engine = spec.engine or engine
    module = _module(engine, "policy")
    _say("policy", spec)
    if engine == "transformers":
        return module.load_policy(spec, threads=threads)
    return module.load_policy(
        spec.location,
        revision=spec.revision,
        prompt=spec.prompt,
        separator=spec.separator,
        context=spec.context,
        dtype=spec.dtype,
        gpus=spec.gpus,
        threads=threads,
        memory_gb=spec.memory_gb,
    )


def load_prm(spec: PrmSpec, *, engine: str, threads: int | None = None) -> Prm:
    """Load a PRM into the engine that its entry names, else into `engine`."""
    engine = spec.engine or engine
    module = _module(engine, "prm")
    _say("PRM", spec)
    if engine == "transformers":
        return module.load_prm(spec, threads=threads)
    return module.load_prm(
        spec.location,
        format=spec.format,
        revision=spec.revision,
        context=spec.context,
        dtype=spec.dtype,
        gpus=spec.gpus,
        threads=threads,
        memory_gb=spec.memory_gb,
    )


def _say(role: str, spec: ModelSpec) -> None:
    """Leave in a job's log which commit of a hub's model it ran."""
    if spec.folder is None:
        from testtime.runtime import hub

        there = hub.find(spec.model, spec.revision)
        print(f"{role} {spec.name}: {spec.model}, commit {there.commit}", file=sys.stderr)


def _module(engine: str, kind: str):
    if engine not in ENGINES:
        raise UserError(f"engine {engine!r} is not known; allowed: {', '.join(ENGINES)}")
    try:
        with _without("sklearn"):
            return importlib.import_module(f"testtime.engines.{engine}.{kind}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("testtime"):
            raise
        raise UserError(f"engine {engine!r} is not installed: pip install {error.name}") from error


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Hide a package that the engines' libraries import wherever they find it.

    transformers takes scikit-learn for a way of decoding that is not used here; importing it is a
    quarter of what a job of a tiny model spends before it begins.
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # what Python calls a module that cannot be imported
    try:
        yield
    finally:
        del sys.modules[package]
