"""vLLM's engines for tests: each is started once for all test modules of a run."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from needs import require
from testtime.study.catalog import load as load_catalog

require("vllm", None if find_spec("vllm") else "vllm is not installed here")

MEMORY_GB = 0.3  # of each engine: half of it for keys and values
DEFAULTS = {"prompt": "plain", "separator": "\n\n", "context": 128, "dtype": "float32"}


@cache
def shipped_policy(name: str, engine: str):
    """A policy of the microcosm as its catalog entry says."""
    spec = load_catalog().policy(name)
    return policy(
        spec.location,
        engine,
        prompt=spec.prompt,
        separator=spec.separator,
        context=spec.context,
        dtype=spec.dtype,
    )


@cache
def shipped_prm(name: str, engine: str):
    """A PRM of the microcosm as its catalog entry says."""
    spec = load_catalog().prm(name)
    return prm(spec.location, engine, format=spec.format, context=spec.context, dtype=spec.dtype)


def policy(folder, engine: str = "vllm", **options):
    """A policy on the CPU and one thread."""
    return _module(engine, "policy").load_policy(
        str(folder), gpus=0, threads=1, **(DEFAULTS | _memory(engine) | options)
    )


def prm(folder, engine: str = "vllm", **options):
    """A PRM on the CPU and one thread."""
    return _module(engine, "prm").load_prm(
        str(folder), gpus=0, threads=1, **(_memory(engine) | options)
    )


def _memory(engine: str) -> dict:
    return {"memory_gb": MEMORY_GB} if engine == "vllm" else {}


def _module(engine: str, kind: str):
    return import_module(f"testtime.engines.{engine}_{kind}")
