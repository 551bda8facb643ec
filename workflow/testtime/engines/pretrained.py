"""Loading published models: complete, without code from the hub; and onto which device."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import cached_file

from testtime.errors import UserError
from testtime.runtime import hub
from testtime.study.catalog import ENGINES, ModelSpec, PrmSpec

DTYPES = ("float32", "bfloat16", "float16", "auto")
# Out-of-memory messages of the CPU's allocator, of CUDA's libraries and of its driver.
FULL = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
_models: Counter[int] = Counter()  # number of this process's models by visible GPU


def source(model: str, revision: str | None) -> dict:
    """Arguments of every `from_pretrained`: a local folder needs no network, no code is fetched."""
    local = Path(model).is_dir()
    return {
        "pretrained_model_name_or_path": model,
        "revision": None if local else revision,
        # Without a network, an earlier download is used at once.
        "local_files_only": local or not hub.is_reachable(),
        "trust_remote_code": False,
    }


def open_model(
    what: str, spec: ModelSpec
) -> tuple[dict, PreTrainedConfig, PreTrainedTokenizerBase]:
    """Everything of a model except its weights: its `source` arguments, config and tokenizer.

    Args:
        what: the model, for messages.
        spec: its catalog entry.

    Raises:
        UserError: files are missing or broken, or the entry's precision or context does not suit.
    """
    check_dtype(what, spec.dtype)
    where = source(spec.location, spec.revision)
    with loading(what):
        config = AutoConfig.from_pretrained(**where)
        tokenizer = load_tokenizer(where)
    check_context(what, config, spec)
    return where, config, tokenizer


def load_tokenizer(where: dict) -> PreTrainedTokenizerBase:
    """The tokenizer as its tokenizer.json says.

    AutoTokenizer rebuilds the tokenizers of some families (Qwen2) from their vocabulary and
    built-in rules, ignoring the file; it is used only if there is no such file.

    Args:
        where: what `source` gave.
    """
    model, *_ = where.values()
    options = {key: where[key] for key in ("revision", "local_files_only")}
    found = cached_file(
        model,
        "tokenizer.json",
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        **options,
    )
    return (PreTrainedTokenizerFast if found else AutoTokenizer).from_pretrained(**where)


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Turn a loader's errors into one line that names the model.

    Raises:
        UserError: files are missing, gated or broken, or there is no network.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{what} cannot be loaded: {reason}") from error


def check_dtype(what: str, dtype: str) -> None:
    """Refuse a precision that no engine knows.

    Raises:
        UserError: names it and what is allowed.
    """
    if dtype not in DTYPES:
        raise UserError(f"{what}: dtype {dtype!r} is not known; allowed: {', '.join(DTYPES)}")


def positions(config: PreTrainedConfig) -> int | None:
    """How many positions a model's config gives it; None if it does not say."""
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def check_context(what: str, config: PreTrainedConfig, spec: ModelSpec) -> None:
    """Refuse a context that is longer than the model supports, unless its entry says so.

    Positions beyond are rotated on as before (RoPE), so a model can read there what it was never
    trained to read.

    Raises:
        UserError: names the lengths.
    """
    longest, trained = positions(config), getattr(spec, "trained_context", None)
    if longest is None or spec.context <= longest:
        return
    if trained is None:
        more = ""
        if isinstance(spec, PrmSpec):
            more = (
                f"; `trained_context: {longest}` beside it lets the PRM read on, with scores that "
                "it was not trained for"
            )
        raise UserError(
            f"{what}: context {spec.context} is more than its {longest} positions{more}"
        )
    if trained > longest:
        raise UserError(f"{what}: trained_context {trained} is more than its {longest} positions")


def check_chat(what: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a policy that cannot be prompted: one without a chat template."""
    if not getattr(tokenizer, "chat_template", None):
        raise UserError(f"{what}: its tokenizer has no chat template")


def check_loaded(what: str, info: dict) -> None:
    """Refuse a model with weights that were missing from its files and are now random.

    Args:
        what: the model, for the message.
        info: the loading info that `from_pretrained(..., output_loading_info=True)` gives.

    Raises:
        UserError: names a few of the missing or misshapen weights.
    """
    wrong = sorted(info["missing_keys"]) + sorted(str(k) for k in info["mismatched_keys"])
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(f"{what}: its files lack the weights {', '.join(wrong[:3])}{more}")


def pick_device(what: str, gpus: int) -> torch.device:
    """Where engine transformers runs a model: the CPU for 0 GPUs, a GPU for 1.

    Raises:
        UserError: more than one GPU, or no GPU is visible.
    """
    check_gpus(what, gpus, "transformers")
    if gpus == 0:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError(f"{what} needs a GPU and none is visible; gpus: 0 runs it on the CPU")
    return torch.device("cuda", *least_used(1, torch.cuda.device_count()))


def least_used(gpus: int, visible: int) -> list[int]:
    """Choose GPUs for a model: those with the fewest of this process's models, in order.

    So a policy and its PRM get separate GPUs if there are enough, and share one otherwise.

    Args:
        gpus: number to choose.
        visible: how many this process sees.
    """
    chosen = sorted(sorted(range(visible), key=lambda gpu: _models[gpu])[:gpus])
    _models.update(chosen)
    return chosen


def check_gpus(what: str, gpus: int, engine: str) -> None:
    """Refuse more GPUs for a model than its engine uses.

    Raises:
        UserError: names the model, the engine's number and the engines that use more.
    """
    most = ENGINES[engine].most_gpus
    if most is not None and gpus > most:
        others = [name for name, other in ENGINES.items() if (other.most_gpus or gpus) >= gpus]
        raise UserError(
            f"{what} needs {gpus} GPUs; engine {engine} uses {most}, take {' or '.join(others)}"
        )


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device or the CPU is out of memory; not every allocator has its own exception."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in FULL)
