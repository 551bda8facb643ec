"""The running batch: its rows, their keys and values, and one step of the model for all of them."""

import numpy as np
import torch
from transformers import PreTrainedModel

from testtime.engines.steps import StepEnds
from testtime.engines.transformers import rows as r
from testtime.engines.transformers.drawing import draw
from testtime.engines.transformers.kv_pool import key_of
from testtime.engines.transformers.prefix_kv import PrefixKv
from testtime.engines.transformers.prompt_reading import read_prompts
from testtime.engines.transformers.rows import Job
from testtime.engines.transformers.tiers import Tier, Tiers
from testtime.engines.transformers.trunk_attention import Decode, Span
from testtime.engines.transformers.trunks import SIBLINGS, Trunks
from testtime.study.seeds import uniforms
from testtime.study.types import Continuation, Sampling


class Batch:
    """Rows that generate together; each sits on a trunk, the keys and values of its parent.

    Args:
        model: loaded with the attention of `trunk_attention`.
        pool: keys and values of prefixes.
        size: most rows.
        context: most tokens of a row, its trunk included.
        stops: ids of the tokens that end a text.
        step_ends: where steps end; None as long as no request stops at them.

    Attributes:
        free: rows that nobody uses.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        pool: PrefixKv,
        *,
        size: int,
        context: int,
        stops: set[int],
        step_ends: StepEnds | None,
    ):
        self.model, self.pool, self.size = model, pool, size
        self.tiers, self.trunks = Tiers(pool, size, context), Trunks(pool, size)
        self.jobs: dict[int, Job] = {}
        self.step_ends = step_ends
        self.free = size
        self._stops = np.zeros(model.get_input_embeddings().num_embeddings, dtype=bool)
        self._stops[list(stops)] = True
        self._samplings: list[Sampling] = []
        self._unread: list[Job] = []

    def start(self, job: Job) -> bool:
        """Start as many children as there are rows for; False if the pool has no room now."""
        if job.ticket not in self.jobs:
            reserved = self.pool.reserve(job.request.token_ids[:-1])
            if reserved is None:
                return False
            job.slots, job.known = reserved
            if job.known < len(job.slots):
                self._unread.append(job)
            self.jobs[job.ticket] = job
        kind = self._kind(job.request.sampling)
        while self.free and job.waiting:
            count = min(self.free, job.waiting, SIBLINGS)
            self.free -= count
            trunk = self.trunks.add(job.slots, count)
            self.tiers.new.start(self.tiers.new.take(count), job, trunk, kind)
        return True

    def step(self) -> list[Job]:
        """Generate one token in every row; returns the jobs that are complete by it."""
        read_prompts(self.model, self.pool, self._unread)
        self._unread = []
        self.tiers.settle()
        state = self.tiers.state()
        self.trunks.fill(int(state[r.TRUNK_LENGTH].max()))
        moved = self.trunks.close()
        if moved is not None:
            self.tiers.renumber_trunks(moved)
            state[r.TRUNK] = moved[state[r.TRUNK]]
        tokens, logprobs = self._draw(self._forward(state), state)
        start, complete = 0, []
        for tier in self.tiers.used:
            own = slice(start, start + tier.rows.n)
            tier.rows.record(tokens[own], logprobs[own])
            start = own.stop
        for tier in self.tiers.used:
            complete += self._finish(tier)
        return complete

    def _forward(self, state: np.ndarray) -> torch.Tensor:
        """Logits of all rows, (rows, vocabulary)."""
        trunk, siblings = state[r.TRUNK], self.trunks.siblings
        order = np.argsort(trunk.astype(np.int32), kind="stable")
        rank = np.empty_like(trunk)
        rank[order] = np.arange(len(trunk)) - (np.cumsum(siblings) - siblings)[trunk[order]]
        ends = np.cumsum([tier.rows.n for tier in self.tiers.used]).tolist()
        plan = Decode(
            trunks=self.trunks.slab,
            n_trunks=int(trunk.max()) + 1,
            siblings=int(siblings.max()),
            spans=[
                Span(tier.slab, end - tier.rows.n, end)
                for tier, end in zip(self.tiers.used, ends, strict=True)
            ],
            trunk=self._index(trunk),
            rank=self._index(rank),
            trunk_length=self._index(state[r.TRUNK_LENGTH]),
            fed=self._index(state[r.FED]),
        )
        return self.model(
            input_ids=self._index(state[r.LAST])[None],
            position_ids=(plan.trunk_length + plan.fed)[None],
            use_cache=False,
            plan=plan,
        ).logits[0]

    def _draw(self, logits: torch.Tensor, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers = self._index(uniforms(state[r.SEED], state[r.FIRST] + state[r.FED]))
        kinds = np.unique(state[r.SAMPLING])
        if len(kinds) == 1:
            tokens, logprobs = draw(logits, self._samplings[kinds[0]], numbers)
        else:
            tokens = torch.empty(len(logits), dtype=torch.int64, device=logits.device)
            logprobs = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
            for kind in kinds:
                rows = self._index(np.flatnonzero(state[r.SAMPLING] == kind))
                drawn = draw(logits[rows], self._samplings[kind], numbers[rows])
                tokens[rows], logprobs[rows] = drawn
        return tokens.cpu().numpy(), logprobs.cpu().numpy()

    def _kind(self, sampling: Sampling) -> int:
        if sampling not in self._samplings:
            self._samplings.append(sampling)
        return self._samplings.index(sampling)

    def _finish(self, tier: Tier) -> list[Job]:
        """Take finished children out of their rows; returns complete jobs."""
        state = tier.rows.state[:, : tier.rows.n]
        stop, step = self._stops[state[r.LAST]], self._at_step_end(state)
        over = np.flatnonzero(stop | step | (state[r.FED] >= state[r.LIMIT]))
        if not len(over):
            return []
        finished = []
        for row in over.tolist():
            job = self.jobs[state[r.JOB, row]]
            finish = "stop" if stop[row] else "step" if step[row] else "length"
            child = Continuation(*tier.rows.generated(row), finish)
            job.children[state[r.CHILD, row]] = child
            finished.append((row, job, child))
        self._keep_steps(tier, finished)
        return self._refill(tier, over, [job for _, job, _ in finished])

    def _at_step_end(self, state: np.ndarray) -> np.ndarray:
        by_step = state[r.BY_STEP].astype(bool)
        if not by_step.any():
            return by_step
        before, token = state[r.STEP_STATE].copy(), state[r.LAST]
        state[r.STEP_STATE] = self.step_ends.following[before, token]
        return by_step & self.step_ends.ends[before, token]

    def _keep_steps(self, tier: Tier, finished: list[tuple[int, Job, Continuation]]) -> None:
        """Keep what finished steps have read: a search is likely to go on from them."""
        kept = [
            (row, job.slots, key_of(job.request.token_ids + child.token_ids[:-1]))
            for row, job, child in finished
            if job.request.stop == "step" and child.finish != "stop"
        ]
        if not kept:
            return
        rows, prefixes, keys = map(list, zip(*kept, strict=True))
        fed = tier.rows.state[r.FED, rows]
        places = np.arange(fed.sum()) - np.repeat(np.cumsum(fed) - fed, fed)
        self.pool.keep(keys, prefixes, fed, tier.slab.read(np.repeat(rows, fed), places))

    def _refill(self, tier: Tier, over: np.ndarray, jobs: list[Job]) -> list[Job]:
        """Start the same jobs' next children on the same trunks; returns complete jobs."""
        again, complete = [], []
        for row, job in zip(over.tolist(), jobs, strict=True):
            job.left -= 1
            if job.waiting:
                again.append((row, job, job.take(1)[0]))
                continue
            self.trunks.leave(int(tier.rows.state[r.TRUNK, row]))
            if job.left == 0:
                self.pool.release(job.slots)
                complete.append(self.jobs.pop(job.ticket))
        tier.rows.leave(over)
        self.free += len(over) - len(again)
        if again:
            rows, jobs, children = zip(*again, strict=True)
            columns = tier.rows.state[:, rows]  # before the new rows overwrite them
            places = self.tiers.new.take(len(rows))
            self.tiers.new.state[:, places] = columns
            self.tiers.new.begin(places, jobs, children)
        return complete

    def _index(self, numbers: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self.pool.tensor.device)
