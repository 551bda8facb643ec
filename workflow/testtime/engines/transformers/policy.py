"""Policies on transformers, on the CPU or one GPU: continuous batching over requests."""

import os
from collections import deque

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from testtime.engines.base import Tickets
from testtime.engines.pretrained import (
    check_chat,
    check_loaded,
    is_out_of_memory,
    loading,
    open_model,
    pick_device,
)
from testtime.engines.text import PolicyText, check_options, stop_ids
from testtime.engines.transformers import attention
from testtime.engines.transformers.batch import Batch
from testtime.engines.transformers.kv import KvStore, token_bytes
from testtime.engines.transformers.rows import Job
from testtime.errors import UserError
from testtime.study.catalog import ModelSpec, PolicySpec
from testtime.study.types import Continuation, Request

# Memory for keys and values; a third of it is for prefixes, the rest bounds the number of rows.
CPU_BYTES, GPU_SHARE = 3 * 2**29, 0.6
MAX_ROWS = 1024
TYPICAL = 4  # rows fill a quarter of the context, as few solutions are that long
LAYER_TYPES = {"full_attention", "sliding_attention"}


class TransformersPolicy:
    """A policy in the sense of `engines.base.Policy`; made by `load_policy`.

    Args:
        text: how it is prompted and read.
        model: loaded with the engine's attention.
        max_rows: most children that generate together.
        store_bytes: most memory for the keys and values of prefixes; always raised to fit the
            longest prompt.
    """

    in_background = False

    def __init__(
        self, text: PolicyText, model: PreTrainedModel, *, max_rows: int, store_bytes: int
    ):
        self.encode, self.decode = text.encode, text.decode
        self.encode_text = text.encode_text
        self._text, self._model, self._max_rows = text, model, max_rows
        self._store_bytes = store_bytes
        self._stops = stop_ids(model.generation_config, model.config, text.tokenizer)
        self._tickets: Tickets[list[Continuation]] = Tickets()
        self._waiting: deque[Job] = deque()
        self._batch = self._new_batch()

    def submit(self, request: Request) -> int:
        """Queue a request; returns its ticket.

        A path (first_position > 0) that fills the context gets empty children, finish "length".

        Raises:
            UserError: the prompt is empty or does not fit into the context.
        """
        limit, ticket = self._text.room(request), self._tickets.issue()
        if request.seeds and limit:
            self._waiting.append(Job(ticket, request, limit))
        else:
            self._tickets.finish(ticket, [Continuation((), (), "length")] * len(request.seeds))
        return ticket

    @torch.inference_mode()
    def poll(self) -> list[tuple[int, list[Continuation]]]:
        """Run until at least one request is complete; returns (ticket, children in seed order).

        An empty list means that nothing is queued.

        Raises:
            UserError: not even one row fits into memory.
        """
        while not self._tickets and (self._waiting or self._batch.jobs):
            # Outside the handler, whose error would keep the memory alive that must be freed.
            if not self._advance():
                self._shrink()
        return self._tickets.collect()

    def _advance(self) -> bool:
        """Fill free rows, generate one token in every row; False if memory runs out."""
        try:
            while self._waiting and self._batch.free and self._batch.start(self._waiting[0]):
                if not self._waiting[0].waiting:
                    self._waiting.popleft()
            if not self._batch.jobs:
                raise torch.OutOfMemoryError("no room for a single prompt")
            for job in self._batch.step():
                self._tickets.finish(job.ticket, job.complete)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True

    def _shrink(self) -> None:
        """Start over with half the rows; children do not change, as each has its own seed."""
        if self._max_rows == 1:
            raise UserError(f"policy {self._text.name}: no memory to generate in a single row")
        self._max_rows //= 2
        self._store_bytes //= 2
        jobs = {job.ticket: job for job in (*self._batch.jobs.values(), *self._waiting)}
        self._waiting = deque(
            Job(ticket, job.request, job.limit) for ticket, job in sorted(jobs.items())
        )
        self._batch = None  # its memory must be freed before the new one allocates any
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        self._batch = self._new_batch()

    def _new_batch(self) -> Batch:
        least = self._text.context * token_bytes(self._model)
        store = KvStore(self._model, max(self._store_bytes, least))
        return Batch(self._model, self._text, store, size=self._max_rows, stops=self._stops)


def load_policy(
    spec: PolicySpec,
    *,
    threads: int | None = None,
    max_rows: int | None = None,
    beside: ModelSpec | None = None,
) -> TransformersPolicy:
    """Load a policy as its catalog entry says.

    Args:
        spec: the entry; on one GPU or none.
        threads: CPU threads of this process.
        max_rows: most children that generate together; None for as many as the memory is likely to
            hold. It is halved when memory runs out all the same.
        beside: another model of this process, of no account here: memory is taken as it is needed.

    Raises:
        UserError: the model, its tokenizer or the machine does not fit; names what and why.
    """
    what = f"policy {spec.location}"
    check_options(what, spec)
    place = pick_device(what, spec.gpus)
    if threads:
        torch.set_num_threads(threads)
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # the tokenizer's
    model, tokenizer = _load(what, spec, place)
    room = CPU_BYTES
    if place.type == "cuda":
        room = int(torch.cuda.mem_get_info(place)[0] * GPU_SHARE)
    if max_rows is None:
        row = token_bytes(model) * max(1, spec.context // TYPICAL)
        max_rows = max(1, min(MAX_ROWS, room * 2 // 3 // row))
    text = PolicyText(spec, tokenizer, vocabulary=model.get_input_embeddings().num_embeddings)
    return TransformersPolicy(text, model, max_rows=max_rows, store_bytes=room // 3)


def _load(
    what: str, spec: PolicySpec, device: torch.device
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model whose attention the engine can run, and its tokenizer."""
    where, _, tokenizer = open_model(what, spec)
    check_chat(what, tokenizer)
    with loading(what):
        model, info = AutoModelForCausalLM.from_pretrained(
            **where,
            dtype=spec.dtype,
            use_safetensors=True,
            attn_implementation=attention.NAME,
            output_loading_info=True,
        )
    check_loaded(what, info)
    layers = getattr(model.config.get_text_config(), "layer_types", None)
    kinds = set(layers or ()) - LAYER_TYPES
    if kinds or not model._supports_attention_backend:
        kind = ", ".join(sorted(kinds)) or "custom attention"
        raise UserError(f"{what} has {kind}, which engine transformers cannot run; take vllm")
    return model.eval().requires_grad_(False).to(device), tokenizer
