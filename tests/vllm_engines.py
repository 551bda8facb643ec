"""vLLM's engines for tests: each is started once for all test modules of a run."""

from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from needs import require
from testtime.study.catalog import ModelSpec, PolicySpec, PrmSpec
from testtime.study.catalog import load as load_catalog

require("vllm", None if find_spec("vllm") else "vllm is not installed here")

MEMORY_GB = 0.3  # of each engine: half of it for keys and values


@cache
def shipped_policy(name: str, engine: str):
    """A policy of the microcosm as its catalog entry says."""
    return _load(replace(load_catalog().policy(name), memory_gb=MEMORY_GB), engine, "policy")


@cache
def shipped_prm(name: str, engine: str):
    """A PRM of the microcosm as its catalog entry says."""
    return _load(replace(load_catalog().prm(name), memory_gb=MEMORY_GB), engine, "prm")


def policy(folder, *, in_process: bool | None = None, **entry):
    """A policy on vLLM, on the CPU and one thread."""
    defaults = {"prompt": "plain", "context": 128, "dtype": "float32", "memory_gb": MEMORY_GB}
    spec = PolicySpec(str(folder), 0, model=str(folder), **(defaults | entry))
    return _load(spec, "vllm", "policy", in_process=in_process)


def prm(folder, engine: str = "vllm", **entry):
    """A PRM on the CPU and one thread."""
    defaults = {"dtype": "float32", "memory_gb": MEMORY_GB}
    return _load(PrmSpec(str(folder), 0, model=str(folder), **(defaults | entry)), engine, "prm")


def forget(model) -> None:
    """Make an engine read anew what it has read before; nothing but tests asks for that."""
    model.runtime._llm.reset_prefix_cache()


def _load(spec: ModelSpec, engine: str, kind: str, **options):
    module = import_module(f"testtime.engines.{engine}.{kind}")
    return getattr(module, f"load_{kind}")(spec, threads=1, **options)
