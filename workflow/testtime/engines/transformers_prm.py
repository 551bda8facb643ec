"""PRMs on transformers, on the CPU or one GPU.

Texts are read batched by length, heads only where scores are. Padding needs no mask where it is on
the right: a causal model's scores never see what follows them. A path that search extends is read
from its newest step on, by the keys and values kept of its earlier ones.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from transformers import AutoConfig, DynamicCache, PreTrainedModel

from testtime import prms
from testtime.engines.kv_pool import KvPool
from testtime.engines.prm_rows import Row, batches, share
from testtime.engines.pretrained import check_loaded, load_tokenizer, loading, source
from testtime.errors import UserError
from testtime.prms.base import Encoded, Reader
from testtime.types import ScoreRequest, StepScores

DTYPES = ("float32", "bfloat16", "float16", "auto")
# Tokens of one batch: on the CPU what its caches like, on a GPU what keeps it busy.
CPU_TOKENS, GPU_TOKENS = 4096, 16384
CPU_CACHE_BYTES, GPU_CACHE_SHARE = 2**30, 0.5


class TransformersPrm:
    """A process reward model in the sense of `engines.base.Prm`; made by `load_prm`.

    Attributes:
        tokens_fed: tokens that the model has read in all, each once.
    """

    def __init__(
        self,
        *,
        name: str,
        model: PreTrainedModel,
        reader: Reader,
        probability,
        context: int,
        max_tokens: int,
        cache_bytes: int,
    ):
        self.name, self.reader, self.context = name, reader, context
        self._backbone = model.base_model
        self._probability = probability
        self._device = next(model.parameters()).device
        self._max_tokens = max_tokens
        self._pool = KvPool(cache_bytes)
        self.tokens_fed = 0

    def score(self, requests: Sequence[ScoreRequest]) -> list[StepScores]:
        """Score the steps after each request's known ones, in the order of the requests.

        Equal requests are read once; their tokens are reported on the first of them. A request
        with known steps, or for a first step alone, is a path under way: its keys and values are
        kept, and the next request for it reads its new steps only. If they were dropped since, it
        is read whole, and counted so. What different requests have in common is read once, but
        counted for each, so that counts do not depend on what happens to be asked for together.

        Raises:
            UserError: a step is blank, or a text is longer than the PRM can read.
        """
        unique = [r for r in dict.fromkeys(requests) if r.known < len(r.steps)]
        texts = self.reader.read([(request.problem, request.steps) for request in unique])
        held: list[np.ndarray] = []
        rows = {}
        for request, text in zip(unique, texts, strict=True):
            prms.check_length(text, request.problem, self.context, self.name)
            rows[request] = self._row(request, text, held)
        results = {request: StepScores((), 0) for request in requests}
        tokens = {request: row.new for request, row in rows.items()}
        try:
            self._read_all(list(rows.values()), held)
        finally:
            for slots in held:
                self._pool.release(slots)
        for request, text in zip(unique, texts, strict=True):
            wanted = text.positions[request.known :]
            scores = tuple(rows[request].score_at(position) for position in wanted)
            results[request] = StepScores(scores, 0)
        return [replace(results[request], tokens=tokens.pop(request, 0)) for request in requests]

    def forget(self) -> None:
        """Drop the keys and values that were kept."""
        self._pool.forget()

    def _row(self, request: ScoreRequest, text: Encoded, held: list[np.ndarray]) -> Row:
        ids, known = text.token_ids, request.known
        under_way = known > 0 or len(request.steps) == 1
        row = Row(
            token_ids=ids,
            wanted=text.positions[known:],
            keep=[position + 1 for position in text.positions[known:]] if under_way else [],
        )
        for position in reversed(text.positions[:known]):
            slots = self._pool.find(ids[: position + 1])
            if slots is not None:
                row.prefix = self._hold(slots, held)
                break
        return row

    def _hold(self, slots: np.ndarray, held: list[np.ndarray]) -> np.ndarray:
        """Slots that nothing which is kept meanwhile may push out."""
        self._pool.hold(slots)
        held.append(slots)
        return slots

    def _read_all(self, rows: list[Row], held: list[np.ndarray]) -> None:
        shared = []
        for level in share(rows):
            for row in level:
                if row.parent is not None:
                    slots = self._pool.find(row.parent.token_ids)
                    # Where the pool had no room for it, the parent's tokens are read once more.
                    row.prefix = row.parent.prefix if slots is None else self._hold(slots, held)
                    shared.append((row.parent.token_ids, slots))
            for batch in batches(level, self._max_tokens):
                self._read(batch)
        for token_ids, slots in shared:
            self._pool.drop(token_ids, slots)

    def _read(self, batch: list[Row]) -> None:
        """Score a batch; where memory runs out, halve it for good.

        Raises:
            UserError: not even one text fits into memory.
        """
        try:
            self._forward(batch)
            return
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
        tokens = max(row.new for row in batch)
        if len(batch) == 1:
            raise UserError(f"PRM {self.name}: no memory to read a text of {tokens} tokens")
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self._max_tokens = min(self._max_tokens, tokens * len(batch)) // 2
        half = len(batch) // 2
        self._read(batch[:half])
        self._read(batch[half:])

    @torch.inference_mode()
    def _forward(self, batch: list[Row]) -> None:
        width = max(row.new for row in batch)
        ids = np.zeros((len(batch), width), dtype=np.int64)
        for line, row in zip(ids, batch, strict=True):
            line[: row.new] = row.token_ids[len(row.prefix) :]
        keep = bool(batch[0].keep)
        cache, mask, places = self._past([row.prefix for row in batch], width)
        out = self._backbone(
            input_ids=torch.from_numpy(ids).to(self._device),
            attention_mask=mask,
            position_ids=places,
            past_key_values=cache if cache is not None else DynamicCache() if keep else None,
            use_cache=keep or cache is not None,
        )
        wanted = [
            index * width + position - len(row.prefix)
            for index, row in enumerate(batch)
            for position in row.wanted
        ]
        hidden = out.last_hidden_state.flatten(0, 1)[torch.tensor(wanted, device=self._device)]
        scores = iter(self._probability(hidden).tolist())
        for row in batch:
            row.scores = {position: next(scores) for position in row.wanted}
        self.tokens_fed += sum(row.new for row in batch)
        if keep:
            self._pool.store(
                out.past_key_values,
                [row.prefix for row in batch],
                [row.token_ids for row in batch],
                [row.keep for row in batch],
            )

    def _past(
        self, prefixes: list[np.ndarray], width: int
    ) -> tuple[DynamicCache | None, torch.Tensor | None, torch.Tensor | None]:
        """The prefixes' keys and values; a mask and positions where they differ in length."""
        lengths = torch.tensor([len(slots) for slots in prefixes], device=self._device)
        longest = int(lengths.max())
        if longest == 0:
            return None, None, None
        cache = self._pool.gather(prefixes)
        if int(lengths.min()) == longest:
            return cache, None, None
        mask = torch.ones(len(prefixes), longest + width, dtype=torch.long, device=self._device)
        before = torch.arange(longest, device=self._device)
        mask[:, :longest] = before[None, :] >= (longest - lengths)[:, None]
        places = lengths[:, None] + torch.arange(width, device=self._device)[None, :]
        return cache, mask, places


def load_prm(
    model: str,
    *,
    format: str | None = None,
    revision: str | None = None,
    context: int,
    dtype: str = "auto",
    gpus: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    max_tokens_per_batch: int | None = None,
    cache_bytes: int | None = None,
) -> TransformersPrm:
    """Load a PRM.

    Args:
        model: a local folder, which needs no network, or a hub id.
        format: name of the format in `testtime.prms`; may be None for a local folder whose
            architecture says it.
        revision: commit or tag on the hub.
        context: most tokens of one input; longer ones are refused.
        dtype: "float32", "bfloat16", "float16", or "auto" for that of the files.
        gpus: 0 for the CPU, 1 for a GPU, None for whichever is there.
        device: torch device, in place of `gpus`.
        threads: CPU threads of this process.
        max_tokens_per_batch: tokens of one batch, padding included.
        cache_bytes: most memory for keys and values of paths under way.

    Raises:
        UserError: the model, its format or the machine does not fit; names what and why.
    """
    what = f"PRM {model}"
    format = prms.detect(model, format or None)
    if dtype not in DTYPES:
        raise UserError(f"{what}: dtype {dtype!r} is not known; allowed: {', '.join(DTYPES)}")
    place = torch.device(device or _device(what, gpus))
    if threads:
        torch.set_num_threads(threads)
    where = source(model, revision)
    spec = prms.get(format)
    with loading(what):
        config = AutoConfig.from_pretrained(**where)
        tokenizer = load_tokenizer(where)
    longest = getattr(config, "max_position_embeddings", None)
    if longest is not None and context > longest:
        raise UserError(f"{what}: context {context} is more than its {longest} positions")
    reader = spec.reader(tokenizer)
    with loading(what):
        loaded, info = spec.model_class().from_pretrained(
            **where, dtype=dtype, attn_implementation="sdpa", output_loading_info=True
        )
    check_loaded(what, info)
    loaded = loaded.eval().requires_grad_(False).to(place)
    on_gpu = place.type == "cuda"
    if cache_bytes is None:
        free = torch.cuda.mem_get_info(place)[0] if on_gpu else 0
        cache_bytes = int(free * GPU_CACHE_SHARE) if on_gpu else CPU_CACHE_BYTES
    return TransformersPrm(
        name=model,
        model=loaded,
        reader=reader,
        probability=spec.head(loaded, reader),
        context=context,
        max_tokens=max_tokens_per_batch or (GPU_TOKENS if on_gpu else CPU_TOKENS),
        cache_bytes=cache_bytes,
    )


def _device(what: str, gpus: int | None) -> str:
    there = torch.cuda.is_available()
    if gpus is None:
        return "cuda" if there else "cpu"
    if gpus > 1:
        raise UserError(f"{what} needs {gpus} GPUs; engine transformers uses one, take engine vllm")
    if gpus == 1 and not there:
        raise UserError(f"{what} needs a GPU and none is visible; gpus: 0 runs it on the CPU")
    return "cuda" if gpus else "cpu"


def _is_out_of_memory(error: RuntimeError) -> bool:
    # The CPU's allocator has no exception of its own.
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
