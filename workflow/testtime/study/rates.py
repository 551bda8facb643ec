"""How many tokens per second models draw and read: as measured, else from a GPU's own numbers.

A GPU reads texts as fast as it computes, 2·P FLOPs a token. It draws tokens as fast as it moves
memory: each step of a batch takes all weights once, and the keys and values of every sequence
(Pope et al. 2022, "Efficiently Scaling Transformer Inference", arXiv 2211.05102, section 2).
Neither reaches the maker's figures; the shares below are assumptions, as are the engines' own times
of a step, and `testtime plan --rates-from` puts what was measured in their place.
"""

from dataclasses import replace

from testtime.study import memory
from testtime.study.catalog import ENGINES, GpuSpec, ModelSpec, PolicySpec, PrmSpec
from testtime.study.speed import PROMPT_TOKENS, Speed

MEASURED = "measured "  # begins a line of a log that says what a model's work took
COMPUTE_SHARE = 0.5  # of a GPU's arithmetic, while it reads
BANDWIDTH_SHARE = 0.6  # of its memory bandwidth, while it draws
TOGETHER_SHARE = 0.8  # of several GPUs' sum, as they wait for each other in every layer
ROW_SECONDS = 1e-5  # of a step, for every sequence: its draw and what the engine keeps of it
KV_BYTES_PER_WEIGHT = 1.5e-5  # of models whose entry has no `kv_bytes`
CPU_WEIGHTS_PER_SECOND = 1e10
MOST_ON_CPU = 40_000


def drawing(
    policy: PolicySpec, gpu: GpuSpec, engine: str, beside: ModelSpec | None = None
) -> float:
    """Tokens per second that a policy draws in the largest batch that its cache holds.

    Args:
        policy: its entry; its own `rate` goes before all else.
        gpu: the kind of each of its GPUs.
        engine: that runs it.
        beside: another model on the same GPU.
    """
    if policy.rate or not policy.gpus:
        return policy.rate or _on_cpu(policy)
    # Sequences are half as long on average as they become.
    kept = _kv_bytes(policy) * (PROMPT_TOKENS + policy.typical_tokens / 2)
    models = [policy] if beside is None else [policy, beside]
    cache = memory.GB * memory.cache_gb(gpu.memory_gb, *models) * policy.gpus
    rows = max(1.0, min(ENGINES[engine].sequences, cache / kept))
    moved = memory.weight_bytes(policy) + rows * kept
    moving = moved / _moved(policy, gpu)
    computing = rows / _computed(policy, gpu)
    return rows / (max(moving, computing) + ENGINES[engine].step_seconds + rows * ROW_SECONDS)


def reading(prm: PrmSpec, gpu: GpuSpec) -> float:
    """Tokens per second that a PRM reads; arguments as of `drawing`."""
    if prm.rate or not prm.gpus:
        return prm.rate or _on_cpu(prm)
    return _computed(prm, gpu)


def speed(spec: ModelSpec, gpu: GpuSpec, engine: str) -> Speed:
    """What a model does by itself, one problem at a time.

    A measured rate makes all of it slower, or faster, as it is than what is expected. A model that
    the study runs on the CPU is put on one GPU, on paper.
    """
    measured = spec.rate if spec.gpus else None
    spec = replace(spec, rate=None, gpus=spec.gpus or 1)
    slower = 1.0
    if measured:
        drawn = isinstance(spec, PolicySpec)
        slower = (drawing(spec, gpu, engine) if drawn else reading(spec, gpu)) / measured
    return Speed(
        weights_s=slower * memory.weight_bytes(spec) / _moved(spec, gpu),
        kv_s=slower * _kv_bytes(spec) / _moved(spec, gpu),
        token_s=slower / _computed(spec, gpu),
        step_s=slower * ENGINES[engine].step_seconds,
        row_s=slower * ROW_SECONDS,
        kv_bytes=spec.kv_bytes,
    )


def _kv_bytes(spec: ModelSpec) -> float:
    return spec.kv_bytes or KV_BYTES_PER_WEIGHT * spec.parameters


def _moved(spec: ModelSpec, gpu: GpuSpec) -> float:
    """Bytes per second that a model's GPUs move."""
    return 1e9 * gpu.bandwidth_gb_s * BANDWIDTH_SHARE * _together(spec)


def _computed(spec: ModelSpec, gpu: GpuSpec) -> float:
    """Tokens per second that pass through a model by its GPUs' arithmetic."""
    flops = 1e12 * gpu.teraflops * COMPUTE_SHARE * _together(spec)
    return flops / (2 * spec.parameters)


def _together(spec: ModelSpec) -> float:
    """What a group of GPUs is worth, in GPUs."""
    return spec.gpus * TOGETHER_SHARE if spec.gpus > 1 else 1.0


def _on_cpu(spec: ModelSpec) -> float:
    return min(MOST_ON_CPU, CPU_WEIGHTS_PER_SECOND / spec.parameters)
