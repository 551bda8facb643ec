"""PRMs on transformers, on the CPU or one GPU.

Texts are read batched by length, and what they have in common only once. Padding on the right needs
no mask: a causal model's scores never see what follows them. A path that search extends is read
from its newest step on, by the keys and values kept of its earlier ones.
"""

import os
from collections.abc import Sequence

import numpy as np
import torch
from transformers import AutoConfig

from testtime import prms
from testtime.engines.base import report, to_read
from testtime.engines.pretrained import (
    check_context,
    check_dtype,
    check_loaded,
    load_tokenizer,
    loading,
    pick_device,
    source,
)
from testtime.engines.transformers.prm_model import PrmModel
from testtime.engines.transformers.prm_rows import Row, share
from testtime.prms.base import Encoded, Reader
from testtime.study.catalog import PrmSpec
from testtime.study.types import ScoreRequest, StepScores

# Tokens of one batch: on the CPU what its caches like, on a GPU what keeps it busy.
CPU_TOKENS, GPU_TOKENS = 2048, 16384
CPU_CACHE_BYTES, GPU_CACHE_SHARE = 2**30, 0.5


class TransformersPrm:
    """A process reward model in the sense of `engines.base.Prm`; made by `load_prm`."""

    def __init__(self, model: PrmModel, reader: Reader, context: int):
        self.model, self.reader, self.context = model, reader, context
        self._waiting: list[tuple[int, ScoreRequest]] = []
        self._tickets = 0

    def submit(self, request: ScoreRequest) -> int:
        """Queue a request for the scores of the steps after its known ones; returns its ticket."""
        self._tickets += 1
        self._waiting.append((self._tickets, request))
        return self._tickets

    def poll(self) -> list[tuple[int, StepScores]]:
        """Read all that waits; returns (ticket, scores) in the order of submission."""
        waiting, self._waiting = self._waiting, []
        found = self.score([request for _, request in waiting])
        return [(ticket, scores) for (ticket, _), scores in zip(waiting, found, strict=True)]

    @property
    def tokens_fed(self) -> int:
        """Tokens that the model has read in all, common ones once."""
        return self.model.tokens_fed

    def score(self, requests: Sequence[ScoreRequest]) -> list[StepScores]:
        """Score the steps after each request's known ones, in the order of the requests.

        Equal requests are read once; their tokens are reported on the first of them. A request
        with known steps, or for a first step alone, is a path under way: its keys and values are
        kept, and the next request for it reads its new steps only. If they were dropped since, it
        is read whole, and counted so. What different requests have in common is read once, but
        counted for each, so that counts do not depend on what happens to be asked for together.
        Steps that end beyond the PRM's context are not read and get no score.

        Raises:
            UserError: a step is blank.
        """
        pairs = to_read(self.reader, requests, self.context)
        held: list[np.ndarray] = []
        try:
            rows = [self._row(*pair, held) for pair in pairs]
            tokens = [row.new for row in rows]
            self._read(rows, held)
        finally:
            for slots in held:
                self.model.pool.release(slots)
        found = [
            StepScores(tuple(row.score_at(p) for p in text.positions[request.known :]), count)
            for (request, text), row, count in zip(pairs, rows, tokens, strict=True)
        ]
        return report(requests, pairs, found)

    def forget(self) -> None:
        """Drop the keys and values that were kept."""
        self.model.pool.forget()

    def _row(self, request: ScoreRequest, text: Encoded, held: list[np.ndarray]) -> Row:
        ids, known = text.token_ids, request.known
        under_way = known > 0 or len(request.steps) == 1
        row = Row(
            token_ids=ids,
            wanted=text.positions[known:],
            keep=[position + 1 for position in text.positions[known:]] if under_way else [],
        )
        for position in reversed(text.positions[:known]):
            slots = self._find(ids[: position + 1], held)
            if slots is not None:
                row.prefix = slots
                break
        return row

    def _read(self, rows: list[Row], held: list[np.ndarray]) -> None:
        common: list[Row] = []
        for level in share(rows):
            for row in level:
                if row.parent is not None:
                    # Where there was no room for the parent, its own tokens are read once more.
                    slots = row.parent.slots
                    row.prefix = row.parent.prefix if slots is None else slots
            self.model.read(level)
            for row in level:
                if row.common:
                    row.slots = self._find(row.token_ids, held)
                    common.append(row)
        for row in common:
            self.model.pool.drop(row.token_ids, row.slots)

    def _find(self, token_ids: list[int], held: list[np.ndarray]) -> np.ndarray | None:
        """Slots of a prefix; what is kept meanwhile may not push them out."""
        slots = self.model.pool.find(token_ids)
        if slots is not None:
            self.model.pool.hold(slots)
            held.append(slots)
        return slots


def load_prm(
    spec: PrmSpec,
    *,
    threads: int | None = None,
    device: str | None = None,
    max_tokens_per_batch: int | None = None,
    cache_bytes: int | None = None,
) -> TransformersPrm:
    """Load a PRM.

    Args:
        spec: its catalog entry.
        threads: CPU threads of this process.
        device: torch device, in place of the entry's `gpus`.
        max_tokens_per_batch: tokens of one batch, padding included.
        cache_bytes: most memory for keys and values of paths under way.

    Raises:
        UserError: the model, its format or the machine does not fit; names what and why.
    """
    model, format, revision = spec.location, spec.format, spec.revision
    context, dtype, gpus = spec.context, spec.dtype, spec.gpus
    what = f"PRM {model}"
    format = prms.detect(model, format or None)
    check_dtype(what, dtype)
    place = torch.device(device) if device else pick_device(what, gpus)
    if threads:
        torch.set_num_threads(threads)
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # the tokenizer's
    where = source(model, revision)
    known = prms.get(format)
    with loading(what):
        config = AutoConfig.from_pretrained(**where)
        tokenizer = load_tokenizer(where)
    check_context(what, config, context)
    reader = known.reader(tokenizer)
    with loading(what):
        loaded, info = known.model_class().from_pretrained(
            **where,
            dtype=dtype,
            attn_implementation="sdpa",
            key_mapping=known.renamed,
            output_loading_info=True,
        )
    check_loaded(what, info)
    loaded = loaded.eval().requires_grad_(False).to(place)
    on_gpu = place.type == "cuda"
    if cache_bytes is None:
        free = torch.cuda.mem_get_info(place)[0] if on_gpu else 0
        cache_bytes = int(free * GPU_CACHE_SHARE) if on_gpu else CPU_CACHE_BYTES
    return TransformersPrm(
        PrmModel(
            model,
            loaded,
            known.head(loaded, reader),
            max_tokens=max_tokens_per_batch or (GPU_TOKENS if on_gpu else CPU_TOKENS),
            cache_bytes=cache_bytes,
        ),
        reader,
        context,
    )
