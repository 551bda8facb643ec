"""Which device a model runs on, and how to tell that its memory is used up."""

from collections import Counter

import torch

from testtime.errors import UserError

# How the allocators of the CPU, of CUDA's libraries and of its driver say that memory is used up.
FULL = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
_models: Counter[int] = Counter()  # of this process, by the visible GPU they are on


def pick_device(what: str, gpus: int | None) -> torch.device:
    """The CPU for 0 GPUs, the GPU for 1, whichever is there for None.

    Raises:
        UserError: more than one GPU, or a GPU that is not there.
    """
    check_gpus(what, gpus)
    there = torch.cuda.is_available()
    if gpus == 1 and not there:
        raise UserError(f"{what} needs a GPU and none is visible; gpus: 0 runs it on the CPU")
    if gpus == 0 or not there:
        return torch.device("cpu")
    return torch.device("cuda", *least_used(1, torch.cuda.device_count()))


def least_used(gpus: int, visible: int) -> list[int]:
    """Choose GPUs for a model: those with the fewest of this process's models, in their order.

    So a policy and its PRM lie side by side where there are GPUs for both, and share one where
    there is only one.

    Args:
        gpus: how many are wanted.
        visible: how many this process sees.
    """
    chosen = sorted(sorted(range(visible), key=lambda gpu: _models[gpu])[:gpus])
    _models.update(chosen)
    return chosen


def check_gpus(what: str, gpus: int | None) -> None:
    """Refuse more than one GPU.

    Raises:
        UserError: names the model and what runs it.
    """
    if gpus is not None and gpus > 1:
        raise UserError(f"{what} needs {gpus} GPUs; engine transformers uses one, take engine vllm")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device is full, or the CPU; not every allocator has an exception of its own."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in FULL)
