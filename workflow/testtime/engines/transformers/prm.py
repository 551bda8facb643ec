"""PRMs on transformers, on the CPU or one GPU.

Texts are read in batches of similar length. A path that search extends is read from its newest step
on, after the keys and values kept for its earlier steps.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import PreTrainedModel

from testtime import prms
from testtime.engines.base import Tickets, report, to_read
from testtime.engines.pretrained import (
    check_loaded,
    is_out_of_memory,
    loading,
    open_model,
    pick_device,
)
from testtime.engines.transformers import attention
from testtime.engines.transformers.attention import Text
from testtime.engines.transformers.kv import KvStore
from testtime.errors import UserError
from testtime.prms.base import Encoded, Reader
from testtime.study.catalog import ModelSpec, PrmSpec
from testtime.study.types import ScoreRequest, StepScores

# Tokens of one batch: small enough for a CPU's caches, large enough to keep a GPU busy.
CPU_TOKENS, GPU_TOKENS = 2048, 16384
CPU_CACHE_BYTES, GPU_CACHE_SHARE = 2**30, 0.5


@dataclass(eq=False)
class Row(Text):
    """A text whose scores are read.

    Attributes:
        wanted: positions of the requested scores, all after the prefix.
        keep: whether the path may be continued after each of them.
        scores: one for each wanted position, once read.
    """

    wanted: Sequence[int] = ()
    keep: bool = False
    scores: list[float] = field(default_factory=list)


class TransformersPrm:
    """A process reward model in the sense of `engines.base.Prm`; made by `load_prm`.

    Args:
        name: for messages.
        model: the PRM, loaded with the engine's attention.
        probability: hidden states (n, hidden) -> probabilities (n,).
        reader: encodes the texts that it reads.
        context: most tokens of a text.
        max_tokens: tokens of one batch, padding included.
        cache_bytes: most memory for keys and values of paths that may be continued.
    """

    in_background = False

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        probability: Callable[[torch.Tensor], torch.Tensor],
        reader: Reader,
        *,
        context: int,
        max_tokens: int,
        cache_bytes: int,
    ):
        self.reader = reader
        self._name, self._model, self._probability = name, model, probability
        self._context, self._max_tokens = context, max_tokens
        self._store = KvStore(model, cache_bytes)
        self._tickets: Tickets[StepScores] = Tickets()
        self._waiting: list[tuple[int, ScoreRequest]] = []

    def submit(self, request: ScoreRequest) -> int:
        """Queue a request for the scores of the steps after its known ones; returns its ticket."""
        self._waiting.append((self._tickets.issue(), request))
        return self._waiting[-1][0]

    def poll(self) -> list[tuple[int, StepScores]]:
        """Read all waiting requests; returns (ticket, scores) in the order of the requests.

        An empty list means that nothing was queued. Equal requests are read once; their tokens are
        reported on the first of them. A request with known steps, or for a first step alone, is a
        path under way: its keys and values are kept, and the next request for it reads its new
        steps only. If they have been dropped since, the whole path is read, and counted. Steps that
        end beyond the PRM's context are not read and get no score.

        Raises:
            UserError: a step is blank, or not even one text fits into memory.
        """
        waiting, self._waiting = self._waiting, []
        requests = [request for _, request in waiting]
        pairs = to_read(self.reader, requests, self._context)
        rows = [self._row(*pair) for pair in pairs]
        try:
            for batch in batches(rows, self._max_tokens):
                self._read(batch)
        finally:
            for row in rows:
                self._store.release(row.prefix)
        found = [StepScores(tuple(row.scores), row.new, len(row.token_ids)) for row in rows]
        for (ticket, _), scores in zip(waiting, report(requests, pairs, found), strict=True):
            self._tickets.finish(ticket, scores)
        return self._tickets.collect()

    def _row(self, request: ScoreRequest, text: Encoded) -> Row:
        """The row to read; its prefix is held, so that it is not evicted meanwhile."""
        known = text.positions[: request.known]
        return Row(
            text.token_ids,
            self._store.longest(text.token_ids, [position + 1 for position in reversed(known)]),
            wanted=text.positions[request.known :],
            keep=request.known > 0 or len(request.steps) == 1,
        )

    def _read(self, batch: list[Row]) -> None:
        try:
            self._forward(batch)
            return
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        tokens = max(row.new for row in batch)
        if len(batch) == 1:
            raise UserError(f"PRM {self._name}: no memory to read a text of {tokens} tokens")
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        # What did not fit now will not fit later: batches stay smaller from now on.
        self._max_tokens = min(self._max_tokens, tokens * len(batch)) // 2
        half = len(batch) // 2
        self._read(batch[:half])
        self._read(batch[half:])

    @torch.inference_mode()
    def _forward(self, batch: list[Row]) -> None:
        """Give rows their scores; keep those that may continue, if there is room."""
        for row in batch:
            row.slots = self._store.take(row.new) if row.keep else None
        kept = [row for row in batch if row.slots is not None]
        try:
            hidden = attention.read(self._model, self._store, batch)
            wanted = [
                index * hidden.shape[1] + position - len(row.prefix)
                for index, row in enumerate(batch)
                for position in row.wanted
            ]
            places = torch.tensor(wanted, dtype=torch.long, device=hidden.device)
            scores = iter(self._probability(hidden.flatten(0, 1)[places]).tolist())
            for row in batch:
                row.scores = [next(scores) for _ in row.wanted]
            for row in kept:
                slots = np.concatenate([row.prefix, row.slots])
                for position in row.wanted:
                    self._store.keep(row.token_ids[: position + 1], slots[: position + 1])
        finally:
            for row in kept:
                self._store.release(row.slots)


def batches(rows: Sequence[Row], max_tokens: int) -> Iterator[list[Row]]:
    """Batches of rows of similar length, as many as the budget allows and at least one.

    Args:
        rows: to be read, in any order.
        max_tokens: new tokens of one batch, padding included; four times as many with prefixes.
    """
    batch: list[Row] = []
    new = known = 0
    for row in sorted(rows, key=lambda row: (row.keep, len(row.prefix), row.new)):
        new, known = max(new, row.new), max(known, len(row.prefix))
        more = len(batch) + 1
        if batch and (more * new > max_tokens or more * (new + known) > 4 * max_tokens):
            yield batch
            batch, new, known = [], row.new, len(row.prefix)
        batch.append(row)
    if batch:
        yield batch


def load_prm(
    spec: PrmSpec,
    *,
    threads: int | None = None,
    max_tokens_per_batch: int | None = None,
    cache_bytes: int | None = None,
    beside: ModelSpec | None = None,
) -> TransformersPrm:
    """Load a PRM as its catalog entry says.

    Args:
        spec: the entry, on one GPU or none; its format may be empty for a local folder whose
            architecture implies it.
        threads: CPU threads of this process.
        max_tokens_per_batch: tokens of one batch, padding included.
        cache_bytes: most memory for keys and values of paths under way.
        beside: another model of this process, of no account here: memory is taken as it is needed.

    Raises:
        UserError: the model, its format or the machine does not fit; names what and why.
    """
    what = f"PRM {spec.location}"
    format = prms.get(prms.detect(spec.location, spec.format or None))
    place = pick_device(what, spec.gpus)
    if threads:
        torch.set_num_threads(threads)
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # the tokenizer's
    where, _, tokenizer = open_model(what, spec)
    reader = format.reader(tokenizer)
    with loading(what):
        model, info = format.model_class().from_pretrained(
            **where,
            dtype=spec.dtype,
            attn_implementation=attention.NAME,
            key_mapping=format.renamed,
            output_loading_info=True,
        )
    check_loaded(what, info)
    model = model.eval().requires_grad_(False).to(place)
    on_gpu = place.type == "cuda"
    if cache_bytes is None:
        free = torch.cuda.mem_get_info(place)[0] if on_gpu else 0
        cache_bytes = int(free * GPU_CACHE_SHARE) if on_gpu else CPU_CACHE_BYTES
    return TransformersPrm(
        spec.location,
        model,
        format.head(model, reader),
        reader,
        context=spec.context,
        max_tokens=max_tokens_per_batch or (GPU_TOKENS if on_gpu else CPU_TOKENS),
        cache_bytes=cache_bytes,
    )
