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

from vllm import LLM, PoolingParams, SamplingParams
from vllm.config import PoolerConfig
from vllm.outputs import PoolingRequestOutput, RequestOutput
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind

from testtime.engines.pretrained import least_used
from testtime.engines.vllm.place import check_gpus, gpu_share, surroundings
from testtime.errors import UserError
from testtime.runtime import hub
from testtime.study.catalog import ENGINES, ModelSpec
from testtime.study.types import Sampling

GB = 10**9
CPU_SEQUENCES = 512  # that run together; more gain nothing there
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


@dataclass(frozen=True)
class Read:
    """What a text gave.

    Attributes:
        key: as given to `Runtime.add_text`.
        logprobs: of the two tokens asked for, after the text.
        tags: probability of the second class at every token that was computed, the text's last
            ones; those before were in cached blocks. Empty where it cannot be told which they are,
            as a text was interrupted and read again in part.
    """

    key: str
    logprobs: tuple[float, ...] = ()
    tags: tuple[float, ...] = ()


class Runtime:
    """A running engine; its memory is freed when this object is dropped.

    Attributes:
        sequences: that run together.
        in_background: whether it works in processes of its own while this one does other things.
    """

    def __init__(self, llm: LLM, *, in_process: bool, sequences: int):
        self.sequences, self.in_background = sequences, not in_process
        self._llm, self._engine = llm, llm.llm_engine
        self._classes: dict[str, tuple[int, ...]] = {}  # of the texts under way
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
        logprobs: bool,
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
            logprobs: report each drawn token's log-probability, which takes time.
        """
        params = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=seed,
            max_tokens=max_tokens,
            stop_token_ids=list(stops),
            ignore_eos=True,  # the stop tokens suffice
            logprobs=0 if logprobs else None,  # of the drawn token only
            detokenize=False,
            skip_clone=True,  # these are of this sequence alone
            output_kind=RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY,
        )
        self._engine.add_request(key, {"prompt_token_ids": list(token_ids)}, params)

    def add_text(
        self,
        key: str,
        token_ids: Sequence[int],
        *,
        classes: tuple[int, ...] = (),
        cached: bool = True,
    ) -> None:
        """Queue a text to be read.

        Args:
            key: names the text among those under way.
            token_ids: of the text.
            classes: two tokens of a language model, whose log-probabilities after the text are
                wanted; without them, a two-class model reads its tags.
            cached: a two-class model may take the text's beginning from cached blocks; what it
                would say of the tokens there is not known then.
        """
        if classes:
            params = SamplingParams(
                max_tokens=1,
                temperature=0,
                logprob_token_ids=list(classes),
                detokenize=False,
                skip_clone=True,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
        else:
            params = PoolingParams(task="token_classify", skip_reading_prefix_cache=not cached)
        self._classes[key] = classes
        self._engine.add_request(key, {"prompt_token_ids": list(token_ids)}, params)

    def step(self) -> list[Drawn]:
        """Let the engine advance once; returns the new output of its sequences."""
        return [_drawn(output) for output in self._engine.step()]

    def read(self, *, wait: bool = True) -> list[Read]:
        """Let the engine advance once; returns the texts that have been read.

        Args:
            wait: False returns at once if an engine in the background has no output yet.
        """
        if not wait and self.in_background and self._engine.engine_core.outputs_queue.empty():
            return []
        outputs = self._engine.step()
        return [_read(output, self._classes.pop(output.request_id)) for output in outputs]

    def abort(self, key: str) -> None:
        """Abort a sequence; it is no longer reported."""
        self._engine.abort_request([key])


def start(
    what: str,
    spec: ModelSpec,
    where: dict,
    *,
    threads: int | None,
    two_class: bool = False,
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
        two_class: whether it is a model with a two-class head, not a language model.
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
        sequences = ENGINES["vllm"].sequences
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
    if two_class:
        pooler = PoolerConfig(tok_pooling_type="ALL")
        place |= {"runner": "pooling", "pooler_config": pooler, "enable_prefix_caching": True}
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
    ids, logprobs = list(made.token_ids), []
    if made.logprobs is not None:
        logprobs = [at[token].logprob for at, token in zip(made.logprobs, ids, strict=True)]
    return Drawn(output.request_id, ids, logprobs, made.finish_reason)


def _read(output: RequestOutput | PoolingRequestOutput, classes: tuple[int, ...]) -> Read:
    if not classes:
        tags = output.outputs.data[:, 1].tolist()
        computed = len(output.prompt_token_ids) - (output.num_cached_tokens or 0)
        return Read(output.request_id, tags=tuple(tags) if len(tags) == computed else ())
    after = output.outputs[0].logprobs[0]
    return Read(output.request_id, logprobs=tuple(after[token].logprob for token in classes))
