"""Where a vLLM engine runs: its GPUs, its share of their memory, its process's environment."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from testtime.errors import UserError
from testtime.study import memory
from testtime.study.catalog import ModelSpec


def check_gpus(what: str, gpus: int, visible: int | None) -> None:
    """Refuse a number of GPUs that an engine cannot have here.

    Args:
        what: the model, for messages.
        gpus: number it needs; 0 for the CPU.
        visible: number of GPUs; None for a vLLM that is built for the CPU.

    Raises:
        UserError: vLLM is built for something else, or there are fewer GPUs.
    """
    on_cpu = visible is None
    if on_cpu and gpus:
        raise UserError(
            f"{what} needs {gpus} GPUs and this vllm is built for the CPU; allowed: gpus: 0, or "
            "pip install vllm where there are GPUs"
        )
    if not on_cpu and not gpus:
        raise UserError(
            f"{what} has gpus: 0 and this vllm is built for GPUs; allowed: gpus: 1, or engine: "
            "transformers"
        )
    if gpus > (visible or 0):
        raise UserError(f"{what} needs {gpus} GPUs and {visible} are visible")


def gpu_share(what: str, total_gb: float, spec: ModelSpec, beside: ModelSpec | None) -> float:
    """Part of each GPU's memory that an engine takes: its weights, and the cache beside them.

    Args:
        what: the model, for messages.
        total_gb: memory of one GPU.
        spec: the model.
        beside: another one on the same GPU, which gets as much cache; None if there is none.

    Raises:
        UserError: a GPU has less.
    """
    cache = memory.cache_gb(total_gb, *filter(None, (spec, beside)))
    weights = memory.weight_bytes(spec) / spec.gpus / memory.GB
    if cache < memory.LEAST_CACHE_GB:
        company = f" beside {beside.name}" if beside else ""
        raise UserError(
            f"{what}{company}: weights of {weights:.0f} GB leave no room for a cache on each of "
            f"{spec.gpus} GPUs, which have {total_gb:.0f} GB; raise gpus in its catalog entry"
        )
    return (weights + cache) / total_gb


@contextmanager
def surroundings(in_process: bool) -> Iterator[None]:
    """The environment in which vLLM starts; its changes to this process are undone.

    Its child processes must not run the main module again, as spawned processes do: the workflow's
    scripts have no guard against it.

    Args:
        in_process: the engine runs within this process, not in separate ones.
    """
    environment, set_threads = dict(os.environ), torch.set_num_threads
    main = vars(sys.modules["__main__"])
    file = main.pop("__file__", None)
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(not in_process))
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        torch.set_num_threads = set_threads  # vLLM's CPU build makes it do nothing
        if file is not None:
            main["__file__"] = file
