"""The running batch: its rows, and one model step for all of them."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from testtime.engines.text import PolicyText
from testtime.engines.transformers.attention import Decode, Span, Text, read
from testtime.engines.transformers.drawing import draw
from testtime.engines.transformers.kv import DenseKv, KvStore
from testtime.engines.transformers.rows import Buckets, Job, Rows
from testtime.study.seeds import uniforms
from testtime.study.types import Continuation, Sampling

SIBLINGS = 32  # most rows on one prefix: more gain little speed, and waste work when few
READ_TOKENS = 8192  # tokens of prompts read in one forward pass, padding included


class Batch:
    """Rows that generate together, each after the keys and values of its parent.

    Args:
        model: loaded with the engine's attention.
        text: of the policy.
        store: keys and values of prompts and of finished steps, so that a search never reads a
            path twice.
        size: most rows.
        stops: ids of the tokens that end a text.

    Attributes:
        jobs: those with rows, by ticket.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        text: PolicyText,
        store: KvStore,
        *,
        size: int,
        stops: set[int],
    ):
        self.jobs: dict[int, Job] = {}
        self._model, self._text, self._store = model, text, store
        self._rows = Rows(size, text.context)
        self._prefixes = DenseKv(model)
        self._buckets = Buckets(model, size, text.context)
        self._siblings = np.zeros(size, dtype=np.int64)  # rows in use on each prefix
        self._stops = np.zeros(model.get_input_embeddings().num_embeddings, dtype=bool)
        self._stops[list(stops)] = True
        self._samplings: list[Sampling] = []
        self._unread: list[Text] = []
        self._new_prefixes: dict[int, np.ndarray] = {}

    @property
    def free(self) -> int:
        """Number of free rows."""
        return int(np.count_nonzero(~self._rows.used))

    def start(self, job: Job) -> bool:
        """Start as many children as there are free rows; False if the store has no room now."""
        if job.ticket not in self.jobs and not self._find_prefix(job):
            return False
        self.jobs[job.ticket] = job
        rows, request = self._rows, job.request
        if request.sampling not in self._samplings:
            self._samplings.append(request.sampling)
        free = np.flatnonzero(~rows.used)[: job.waiting]
        for new in (free[i : i + SIBLINGS] for i in range(0, len(free), SIBLINGS)):
            prefix = int(np.argmin(self._siblings > 0))
            self._siblings[prefix] = len(new)
            self._new_prefixes[prefix] = job.slots
            rows.ticket[new], rows.prefix[new], rows.known[new] = job.ticket, prefix, len(job.slots)
            rows.limit[new], rows.first[new] = job.limit, request.first_position
            rows.by_step[new] = request.stop == "step"
            rows.sampling[new] = self._samplings.index(request.sampling)
            rows.begin(new, job)
        return True

    def step(self) -> list[Job]:
        """Generate one token in every row; returns the jobs that this completes."""
        for texts in _side_by_side(self._unread):
            read(self._model, self._store, texts)
        self._unread = []
        self._fill_prefixes()
        spans, order = self._buckets.arrange(self._rows)
        tokens, logprobs = self._draw(self._forward(spans, order), order)
        rows, fed = self._rows, self._rows.fed[order]
        rows.tokens[order, fed] = rows.last[order] = tokens
        rows.logprobs[order, fed] = logprobs
        rows.fed[order] += 1
        return self._finish(order)

    def _find_prefix(self, job: Job) -> bool:
        """Find or make the slots of a request's tokens but the last, which is fed first."""
        token_ids = job.request.token_ids[:-1]
        known = self._store.longest(token_ids)
        new = self._store.take(len(token_ids) - len(known))
        if new is None:
            self._store.release(known)
            return False
        job.slots = np.concatenate([known, new])
        if len(new):
            self._store.keep(token_ids, job.slots)
            self._unread.append(Text(token_ids, known, new))
        return True

    def _fill_prefixes(self) -> None:
        """Copy new prefixes from the store, and close the gaps between those in use."""
        rows, used = self._rows, self._siblings > 0
        longest = int(rows.known[rows.used].max())
        self._prefixes.fit(int(np.flatnonzero(used)[-1]) + 1, max(1, longest))
        if self._new_prefixes:
            numbers, slots = zip(*self._new_prefixes.items(), strict=True)
            self._prefixes.load(numbers, slots, self._store)
            self._new_prefixes = {}
        n = np.count_nonzero(used)
        source, target = n + np.flatnonzero(used[n:]), np.flatnonzero(~used[:n])
        if len(source):
            self._prefixes.move(source, self._prefixes, target, self._prefixes.length)
            self._siblings[target], self._siblings[source] = self._siblings[source], 0
            now = np.arange(len(used))
            now[source] = target
            rows.prefix = now[rows.prefix]

    def _forward(self, spans: Sequence[Span], order: np.ndarray) -> torch.Tensor:
        """Logits of all rows in this order, (rows, vocabulary)."""
        rows, prefix, siblings = self._rows, self._rows.prefix[order], self._siblings
        by_prefix, rank = np.argsort(prefix, kind="stable"), np.empty_like(prefix)
        first = np.cumsum(siblings) - siblings
        rank[by_prefix] = np.arange(len(prefix)) - first[prefix[by_prefix]]
        metadata = Decode(
            prefixes=self._prefixes,
            n_prefixes=int(prefix.max()) + 1,
            siblings=int(siblings.max()),
            suffixes=spans,
            prefix=self._tensor(prefix),
            rank=self._tensor(rank),
            known=self._tensor(rows.known[order]),
            fed=self._tensor(rows.fed[order]),
        )
        return self._model(
            input_ids=self._tensor(rows.last[order])[:, None],
            position_ids=(metadata.known + metadata.fed)[:, None],
            use_cache=False,
            metadata=metadata,
        ).logits[:, 0]

    def _draw(self, logits: torch.Tensor, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, sampling = self._rows, self._rows.sampling[order]
        numbers = uniforms(rows.seed[order], rows.first[order] + rows.fed[order])
        tokens = np.zeros(len(order), dtype=np.int64)
        logprobs = np.zeros(len(order), dtype=np.float32)
        kinds = np.unique(sampling)
        for kind in kinds:
            chosen = np.flatnonzero(sampling == kind)
            part = logits if len(kinds) == 1 else logits[self._tensor(chosen)]
            drawn = draw(part, self._samplings[kind], self._tensor(numbers[chosen]))
            tokens[chosen], logprobs[chosen] = (x.cpu().numpy() for x in drawn)
        return tokens, logprobs

    def _finish(self, order: np.ndarray) -> list[Job]:
        """Take finished children out of their rows, start others; returns complete jobs."""
        rows = self._rows
        stop, step = self._stops[rows.last], self._at_step_end(order)
        finished = []
        for row in order[(stop | step | (rows.fed >= rows.limit))[order]].tolist():
            job = self.jobs[rows.ticket[row]]
            finish = "stop" if stop[row] else "step" if step[row] else "length"
            finished.append((row, job, Continuation(*rows.generated(row), finish)))
        self._keep_steps(finished)
        complete = []
        for row, job, child in finished:
            job.children[int(rows.child[row])] = child
            if job.waiting:  # on the same prefix
                rows.begin([row], job)
                continue
            rows.used[row] = False
            self._siblings[rows.prefix[row]] -= 1
            if job.complete is not None:
                self._store.release(job.slots)
                complete.append(self.jobs.pop(job.ticket))
        return complete

    def _at_step_end(self, order: np.ndarray) -> np.ndarray:
        """Whether each row has just ended a step."""
        rows, ended = self._rows, np.zeros_like(self._rows.used)
        by_step = order[rows.by_step[order]]
        if len(by_step):
            ends, before, token = self._text.step_ends, rows.step_state[by_step], rows.last[by_step]
            rows.step_state[by_step] = ends.following[before, token]
            ended[by_step] = ends.ends[before, token]
        return ended

    def _keep_steps(self, finished: Sequence[tuple[int, Job, Continuation]]) -> None:
        """Keep the keys and values of finished steps: a search is likely to continue from them."""
        rows = self._rows
        kept = [x for x in finished if x[1].request.stop == "step" and x[2].finish != "stop"]
        if not kept:
            return
        kept.sort(key=lambda x: rows.bucket[x[0]])
        ended = np.array([row for row, _, _ in kept])
        ends = np.cumsum(rows.fed[ended]).tolist()
        slots = self._store.take(ends[-1])
        if slots is None:
            return
        self._buckets.save(rows, ended, self._store, slots)
        for (_, job, child), start, end in zip(kept, [0, *ends], ends, strict=False):
            token_ids = job.request.token_ids + child.token_ids[:-1]
            self._store.keep(token_ids, np.concatenate([job.slots, slots[start:end]]))
        self._store.release(slots)

    def _tensor(self, numbers: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(numbers).to(self._store.device)


def _side_by_side(texts: Sequence[Text]) -> Iterator[list[Text]]:
    """Batches of texts in order, so that a prefix is read before texts that continue it."""
    batch, width = [], 0
    for text in texts:
        width = max(width, text.new)
        if batch and width * (len(batch) + 1) > READ_TOKENS:
            yield batch
            batch, width = [], text.new
        batch.append(text)
    if batch:
        yield batch
