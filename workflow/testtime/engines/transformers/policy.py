"""Policies on transformers, on the CPU or one GPU: continuous batching over requests."""

import os
from collections import deque

import torch
from transformers import PreTrainedModel

from testtime.engines.pretrained import check_dtype, is_out_of_memory, pick_device
from testtime.engines.steps import StepEnds
from testtime.engines.text import PolicyText, check_options, stop_ids
from testtime.engines.transformers.batch import Batch
from testtime.engines.transformers.policy_model import kv_bytes, kv_token, load
from testtime.engines.transformers.prefix_kv import PrefixKv
from testtime.engines.transformers.rows import Job
from testtime.errors import UserError
from testtime.study.catalog import PolicySpec
from testtime.study.types import Continuation, Request

# Memory for keys and values; a third of it is for prefixes, the rest bounds the number of rows.
CPU_BYTES, GPU_SHARE = 3 * 2**29, 0.6
MAX_ROWS = 1024
TYPICAL = 4  # rows fill a quarter of the context, as few solutions are that long


class TransformersPolicy:
    """A policy in the sense of `engines.base.Policy`; made by `load_policy`.

    Attributes:
        max_rows: most children that generate together.
    """

    def __init__(
        self,
        *,
        text: PolicyText,
        model: PreTrainedModel,
        max_rows: int,
        pool_bytes: int,
    ):
        self.text, self.max_rows = text, max_rows
        self.encode, self.decode = text.encode, text.decode
        self._model, self._pool_bytes = model, pool_bytes
        self._stops = stop_ids(model.generation_config, model.config, text.tokenizer)
        self._step_ends: StepEnds | None = None
        self._waiting: deque[Job] = deque()
        self._done: list[tuple[int, list[Continuation]]] = []
        self._tickets = 0
        self._batch = self._new_batch()

    def submit(self, request: Request) -> int:
        """Queue a request; returns its ticket.

        A path (first_position > 0) that fills the context gets empty children, finish "length".

        Raises:
            UserError: the prompt is empty or does not fit into the context.
        """
        limit, n = self.text.room(request), len(request.seeds)
        if request.stop == "step" and self._step_ends is None:
            self._step_ends = self._batch.step_ends = self.text.step_ends
        self._tickets += 1
        if n and limit:
            self._waiting.append(Job(self._tickets, request, limit, [None] * n, n))
        else:
            self._done.append((self._tickets, [Continuation((), (), "length")] * n))
        return self._tickets

    @torch.inference_mode()
    def poll(self) -> list[tuple[int, list[Continuation]]]:
        """Run until at least one request is complete; returns (ticket, children in seed order).

        An empty list means that nothing is queued.

        Raises:
            UserError: not even one row fits into memory.
        """
        while not self._done and (self._waiting or self._batch.jobs):
            # Outside the handler, whose error would hold on to the memory that is to be given back.
            if not self._advance():
                self._shrink()
        done, self._done = self._done, []
        return done

    def forget(self) -> None:
        """Drop the keys and values kept of earlier requests."""
        self._batch.pool.drop_all()

    def _advance(self) -> bool:
        """Generate one token in every row; False where memory does not suffice."""
        try:
            self._step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True

    def _step(self) -> None:
        """Fill free rows and generate one token in every row."""
        batch = self._batch
        while self._waiting and batch.free and batch.start(self._waiting[0]):
            if not self._waiting[0].waiting:
                self._waiting.popleft()
        if not batch.jobs:
            raise torch.OutOfMemoryError("no room for a single prompt")
        self._done += [(job.ticket, job.children) for job in batch.step()]

    def _shrink(self) -> None:
        """Begin again with half the rows; a child comes out the same, as its seed is its own."""
        if self.max_rows == 1:
            raise UserError(f"policy {self.text.name}: no memory to generate in a single row")
        self.max_rows //= 2
        self._pool_bytes //= 2
        jobs = {job.ticket: job for job in (*self._batch.jobs.values(), *self._waiting)}
        self._waiting = deque(
            Job(job.ticket, job.request, job.limit, [None] * len(job.children), len(job.children))
            for _, job in sorted(jobs.items())
        )
        self._batch = None  # its memory must be free before the new one takes any
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        self._batch = self._new_batch()

    def _new_batch(self) -> Batch:
        # The longest prompt must fit, whatever else is asked for.
        least = self.text.context * kv_bytes(self._model)
        pool = PrefixKv(max(self._pool_bytes, least), kv_token(self._model))
        return Batch(
            self._model,
            pool,
            size=self.max_rows,
            context=self.text.context,
            stops=self._stops,
            step_ends=self._step_ends,
        )


def load_policy(
    spec: PolicySpec,
    *,
    threads: int | None = None,
    device: str | None = None,
    max_rows: int | None = None,
) -> TransformersPolicy:
    """Load a policy.

    Args:
        spec: its catalog entry.
        threads: CPU threads of this process.
        device: torch device, in place of the entry's `gpus`.
        max_rows: most children that generate together; None for as many as the memory is likely to
            hold. It is halved when memory runs out all the same.

    Raises:
        UserError: the model, its tokenizer or the machine does not fit; names what and why.
    """
    model, revision, prompt = spec.location, spec.revision, spec.prompt
    separator, context, dtype, gpus = spec.separator, spec.context, spec.dtype, spec.gpus
    what = f"policy {model}"
    check_dtype(what, dtype)
    check_options(what, prompt=prompt, separator=separator)
    place = torch.device(device) if device else pick_device(what, gpus)
    if threads:
        torch.set_num_threads(threads)
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # the tokenizer's
    loaded, tokenizer = load(what, model, revision, context, dtype, place)
    room = CPU_BYTES
    if place.type == "cuda":
        room = int(torch.cuda.mem_get_info(place)[0] * GPU_SHARE)
    if max_rows is None:
        row = kv_bytes(loaded) * max(1, context // TYPICAL)
        max_rows = max(1, min(MAX_ROWS, room * 2 // 3 // row))
    return TransformersPolicy(
        text=PolicyText(
            model,
            tokenizer,
            prompt=prompt,
            separator=separator,
            context=context,
            vocabulary=loaded.get_input_embeddings().num_embeddings,
        ),
        model=loaded,
        max_rows=max_rows,
        pool_bytes=room // 3,
    )
