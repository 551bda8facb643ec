"""What models take of GPUs and of RAM, from the number of their weights."""

from testtime.study.catalog import ENGINES, ModelSpec

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
GB = 1e9
# Engines leave the rest of a GPU to CUDA, the graphs and buffers of another engine there.
MOST_OF_GPU = 0.92
LEAST_CACHE_GB = 2.0  # of a GPU, for the keys and values of a model
# RAM of a job whose model is on GPUs, besides loading the weights.
HOST_GB, HOST_GB_PER_GPU = 8, 4


def weight_bytes(spec: ModelSpec) -> float:
    """Bytes of all weights as they are loaded."""
    return spec.parameters * (spec.weight_bytes or BYTES.get(spec.dtype, 2))


def cache_gb(gpu_gb: float, *models: ModelSpec) -> float:
    """Gigabytes that each of these models has for keys and values on a GPU that they share.

    Args:
        gpu_gb: memory of the GPU.
        models: each with its weights spread over its number of GPUs.
    """
    weights = sum(weight_bytes(spec) / spec.gpus for spec in models)
    return (MOST_OF_GPU * gpu_gb - weights / GB) / len(models)


def gpus_together(policy: ModelSpec, prm: ModelSpec, gpu_gb: float) -> int:
    """GPUs of a job with both models: one if it holds both, else each has its own."""
    models = [spec for spec in (policy, prm) if spec.gpus]
    one_each = all(spec.gpus == 1 for spec in models)
    if len(models) == 2 and one_each and cache_gb(gpu_gb, *models) >= LEAST_CACHE_GB:
        return 1
    return policy.gpus + prm.gpus


def ram_gb(spec: ModelSpec, engine: str) -> float:
    """RAM of a job: the model's own on the CPU; what its weights pass through on a GPU."""
    if spec.gpus == 0:
        return spec.memory_gb + ENGINES[engine].cpu_gb
    parts = spec.gpus if ENGINES[engine].loads_in_parts else 1
    return HOST_GB + HOST_GB_PER_GPU * spec.gpus + weight_bytes(spec) / 2**30 / parts
