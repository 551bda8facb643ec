"""Everything that touches vLLM, whose interface changes often: starting an engine and using it.

On GPUs an engine runs in separate processes, one per GPU of its group; on the CPU, with vLLM's CPU
build, in this process, which starts several times faster.
"""

import gc
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch

# vLLM reads these when it is imported: no usage statistics are sent, and only errors are logged.
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

from vllm import LLM, SamplingParams
from vllm.config import PoolerConfig
from vllm.outputs import RequestOutput
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind

from testtime.engines.pretrained import least_used
from testtime.engines.vllm.place import check_gpus, gpu_share, surroundings
from testtime.errors import UserError
from testtime.runtime import hub
from testtime.study.catalog import ModelSpec
from testtime.study.types import Sampling

GB = 10**9
# Sequences that run together; on the CPU more gain nothing.
CPU_SEQUENCES, GPU_SEQUENCES = 256, 512
CPU_TOKENS = 4096  # read in one step
CPU_BLOCK = 32  # tokens of a cached block: vLLM's 128 would hardly ever be full
CPU_KV_SHARE = 0.5  # of an entry's memory_gb, for keys and values


@dataclass(frozen=True)
class Drawn:
    """What a sequence has generated since it was last reported.

    Attributes:
        key: as given to `Runtime.add`.
        finish: "stop" or "length" if the sequence has ended, else None.
    """

    key: str
    token_ids: list[int]
    logprobs: list[float]
    finish: str | None


class Runtime:
    """A running engine; its memory is freed when this object is dropped."""

    def __init__(self, llm: LLM, *, in_process: bool, sequences: int):
        self.sequences = sequences
        self._llm, self._engine = llm, llm.llm_engine
        _LIVE.add(self)
        self.close = weakref.finalize(self, _close, llm, in_process)

    def add(
        self,
        key: str,
        token_ids: Sequence[int],
        *,
        seed: int,
        sampling: Sampling,
        max_tokens: int,
        stops: Sequence[int],
        stream: bool,
    ) -> None:
        """Queue a sequence; those with common beginnings share their cached blocks.

        Args:
            key: names the sequence among those under way.
            token_ids: what it continues.
            seed: of its draws.
            sampling: how its tokens are drawn.
            max_tokens: most new tokens.
            stops: ids of tokens that end it.
            stream: report every token as it is drawn, not all at the end.
        """
        params = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=seed,
            max_tokens=max_tokens,
            stop_token_ids=list(stops),
            ignore_eos=True,  # the stop tokens suffice
            logprobs=0,  # of the drawn token only
            detokenize=False,
            skip_clone=True,  # these are of this sequence alone
            output_kind=RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY,
        )
        self._engine.add_request(key, {"prompt_token_ids": list(token_ids)}, params)

    def step(self) -> list[Drawn]:
        """Let the engine advance once; returns the new output of its sequences."""
        return [_drawn(output) for output in self._engine.step()]

    def abort(self, key: str) -> None:
        """Abort a sequence; it is no longer reported."""
        self._engine.abort_request([key])

    def next_token_logprobs(
        self, texts: Sequence[Sequence[int]], tokens: tuple[int, int]
    ) -> list[tuple[float, float]]:
        """Log-probabilities of two tokens after each text, reusing cached beginnings."""
        params = SamplingParams(
            max_tokens=1, temperature=0, logprob_token_ids=list(tokens), detokenize=False
        )
        outputs = self._llm.generate(_prompts(texts), params, use_tqdm=False)
        found = [output.outputs[0].logprobs[0] for output in outputs]
        return [tuple(at[token].logprob for token in tokens) for at in found]

    def tag_probabilities(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """Probability of the second class at every step tag of each text."""
        outputs = self._llm.encode(_prompts(texts), pooling_task="token_classify", use_tqdm=False)
        return [output.outputs.data[:, 1].tolist() for output in outputs]


def start(
    what: str,
    spec: ModelSpec,
    where: dict,
    *,
    threads: int | None,
    step_tag: int | None = None,
    overrides: dict | None = None,
    in_process: bool | None = None,
    beside: ModelSpec | None = None,
) -> Runtime:
    """Start an engine.

    Args:
        what: the model, for messages.
        spec: its catalog entry; its context counts generated tokens too.
        where: what `pretrained.source` gave.
        threads: CPU threads of this process.
        step_tag: token at which a two-class model is read; None for language models.
        overrides: changes of the model's config.
        in_process: run in this process; None does so on the CPU alone.
        beside: another model of this process; they share a GPU if there are too few.

    Raises:
        UserError: the machine does not have what the model needs, or vLLM refuses the model.
    """
    gpus = spec.gpus
    visible = None if current_platform.is_cpu() else current_platform.device_count()
    check_gpus(what, gpus, visible)
    in_process = gpus == 0 if in_process is None else in_process
    if gpus == 0:
        sequences = CPU_SEQUENCES
        place = {
            "block_size": CPU_BLOCK,
            "enforce_eager": True,  # compiling takes longer than small models run
            # A prompt read in parts breaks seeded draws: its generator cannot be reset.
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(CPU_TOKENS, spec.context),
            "kv_cache_memory_bytes": int(spec.memory_gb * CPU_KV_SHARE * GB),
        }
    else:
        sequences = GPU_SEQUENCES
        crowded = beside is not None and gpus + beside.gpus > visible
        place = {
            "tensor_parallel_size": gpus,
            "device_ids": least_used(gpus, visible),
            "gpu_memory_utilization": gpu_share(
                what,
                current_platform.get_device_total_memory() / GB,
                spec,
                beside if crowded else None,
            ),
        }
    if step_tag is not None:
        pooler = PoolerConfig(tok_pooling_type="STEP", step_tag_id=step_tag)
        place |= {"runner": "pooling", "pooler_config": pooler}
    if threads and gpus == 0:
        torch.set_num_threads(threads)
    try:
        with surroundings(in_process):
            llm = LLM(
                _folder_or_id(where),
                revision=where["revision"],
                trust_remote_code=False,
                skip_tokenizer_init=True,
                generation_config="vllm",  # nothing of the files' but what is asked for
                max_model_len=spec.context,
                max_num_seqs=sequences,
                dtype=spec.dtype,
                hf_overrides=overrides,
                **place,
            )
    except (OSError, ValueError, RuntimeError, NotImplementedError, AssertionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{what}: vLLM does not start with context {spec.context}, gpus {gpus} and "
            f"memory_gb {spec.memory_gb}, which its catalog entry may change: {reason}"
        ) from error
    return Runtime(llm, in_process=in_process, sequences=sequences)


_LIVE: weakref.WeakSet[Runtime] = weakref.WeakSet()
_ENDED: list[LLM] = []


def _close(llm: LLM, in_process: bool) -> None:
    """Free an engine's memory.

    Engines within this process share vLLM's process group, which the first to shut down would
    destroy; so all shut down with the last one.
    """
    _ENDED.append(llm)
    if in_process and any(runtime.close.alive for runtime in _LIVE):
        return
    while _ENDED:
        _ENDED.pop().llm_engine.engine_core.shutdown()
    gc.collect()


def _folder_or_id(where: dict) -> str:
    """The model argument for vLLM: without a network, the folder of the hub's downloaded files."""
    model = where["pretrained_model_name_or_path"]
    if not where["local_files_only"] or os.path.isdir(model):
        return model
    return str(hub.cached(model, where["revision"]).folder)  # its config was read from there


def _drawn(output: RequestOutput) -> Drawn:
    made = output.outputs[0]
    ids = list(made.token_ids)
    logprobs = [at[token].logprob for at, token in zip(made.logprobs, ids, strict=True)]
    return Drawn(output.request_id, ids, logprobs, made.finish_reason)


def _prompts(texts: Sequence[Sequence[int]]) -> list[dict]:
    return [{"prompt_token_ids": list(text)} for text in texts]
