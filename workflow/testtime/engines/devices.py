"""Which device a model runs on, and how to tell that its memory is used up."""

import torch

from testtime.errors import UserError


def pick_device(what: str, gpus: int | None) -> torch.device:
    """The CPU for 0 GPUs, the GPU for 1, whichever is there for None.

    Raises:
        UserError: more than one GPU, or a GPU that is not there.
    """
    check_gpus(what, gpus)
    there = torch.cuda.is_available()
    if gpus == 1 and not there:
        raise UserError(f"{what} needs a GPU and none is visible; gpus: 0 runs it on the CPU")
    return torch.device("cuda" if gpus == 1 or (gpus is None and there) else "cpu")


def check_gpus(what: str, gpus: int | None) -> None:
    """Refuse more than one GPU.

    Raises:
        UserError: names the model and what runs it.
    """
    if gpus is not None and gpus > 1:
        raise UserError(f"{what} needs {gpus} GPUs; engine transformers uses one, take engine vllm")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or the CPU's allocator, which has no exception of its own, is full."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
