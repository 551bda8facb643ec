"""vLLM's engines for tests: each is started once for all test modules of a run."""

from functools import cache
from importlib.util import find_spec

import pytest
from testtime.catalog import load as load_catalog

if find_spec("vllm") is None:
    pytest.skip("vllm is not installed here", allow_module_level=True)

from testtime.engines import transformers_policy, transformers_prm, vllm_policy, vllm_prm

MEMORY_GB = 0.3  # of each engine: half of it for keys and values
POLICIES = {"transformers": transformers_policy, "vllm": vllm_policy}
PRMS = {"transformers": transformers_prm, "vllm": vllm_prm}
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
    return POLICIES[engine].load_policy(
        str(folder), gpus=0, threads=1, **(DEFAULTS | _memory(engine) | options)
    )


def prm(folder, engine: str = "vllm", **options):
    """A PRM on the CPU and one thread."""
    return PRMS[engine].load_prm(str(folder), gpus=0, threads=1, **(_memory(engine) | options))


def _memory(engine: str) -> dict:
    return {"memory_gb": MEMORY_GB} if engine == "vllm" else {}
