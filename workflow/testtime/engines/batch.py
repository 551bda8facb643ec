"""The running batch: its rows, their keys and values, and one step of the model for all of them."""

import heapq

import numpy as np
import torch
from transformers import PreTrainedModel

from testtime.engines import rows as r
from testtime.engines.drawing import draw
from testtime.engines.kv_pool import key_of
from testtime.engines.kv_slab import Slab, round_up
from testtime.engines.prefix_kv import PrefixKv
from testtime.engines.rows import Job, Rows
from testtime.engines.step_ends import StepEnds
from testtime.engines.trunk_attention import Decode, Prefill
from testtime.seeds import uniforms
from testtime.types import Continuation, Sampling

SIBLINGS = 16  # most rows on one trunk; more hardly speeds up the product, and wastes where few are
PREFILL_TOKENS = 8192


class Batch:
    """Rows that generate together; each sits on a trunk, the keys and values of its parent.

    Args:
        model: loaded with the attention of `trunk_attention`.
        pool: keys and values of prefixes.
        size: most rows.
        stops: ids of the tokens that end a text.
    """

    def __init__(self, model: PreTrainedModel, pool: PrefixKv, size: int, stops: set[int]):
        self.model, self.pool = model, pool
        self.rows = Rows(size)
        like = pool.tensor
        shape = (like.shape[1] // 2, *like.shape[2:], like.dtype, like.device)
        self.trunks, self.branches = Slab(*shape), Slab(*shape)
        self.jobs: dict[int, Job] = {}
        self.step_ends: StepEnds | None = None
        self._stops = np.fromiter(stops, dtype=np.int64)
        self._siblings = np.zeros(size, dtype=np.int64)  # rows on each trunk
        self._free_trunks = list(range(size))
        self._samplings: list[Sampling] = []
        self._unread: list[Job] = []
        self._unfilled: list[tuple[int, Job]] = []

    @property
    def free(self) -> int:
        """Rows that nobody uses."""
        return self.rows.size - self.rows.running

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
        sampling = job.request.sampling
        if sampling not in self._samplings:
            self._samplings.append(sampling)
        while self.free and job.waiting:
            trunk = heapq.heappop(self._free_trunks)
            rows = self.rows.take(min(self.free, job.waiting, SIBLINGS))
            self.rows.start(rows, job, trunk, self._samplings.index(sampling))
            self._siblings[trunk] = len(rows)
            self._unfilled.append((trunk, job))
        return True

    def step(self) -> list[Job]:
        """Generate one token in every row; returns the jobs that are complete by it."""
        self._read_prompts()
        self._fill_trunks()
        for source, target in self.rows.close_holes():
            self.branches.move(source, target, int(self.rows.state[r.FED, source].max()))
        self._close_trunks()
        self._decode()
        return self._finish()

    def _read_prompts(self) -> None:
        """Write the keys and values of prompts that are new to the pool."""
        while self._unread:
            jobs, width = [], 0
            for job in self._unread:
                width = max(width, len(job.slots) - job.known)
                if jobs and width * (len(jobs) + 1) > PREFILL_TOKENS:
                    break
                jobs.append(job)
            self._prefill(jobs)
            del self._unread[: len(jobs)]

    def _prefill(self, jobs: list[Job]) -> None:
        pool = self.pool.tensor
        new = [len(job.slots) - job.known for job in jobs]
        ids = np.concatenate([job.request.token_ids[job.known : -1] for job in jobs])
        places = np.concatenate([np.arange(n) for n in new])
        known = np.array([job.known for job in jobs])
        prompts = np.repeat(np.arange(len(jobs)), new)
        plan = Prefill(
            pool=pool,
            new=self._index(np.concatenate([job.slots[job.known :] for job in jobs])),
            table=self._table(jobs),
            prompt=self._index(prompts),
            place=self._index(places),
            known=self._index(known),
            width=max(new),
        )
        self.model.base_model(
            input_ids=self._index(ids)[None],
            position_ids=self._index(places + known[prompts])[None],
            use_cache=False,
            plan=plan,
        )

    def _table(self, jobs: list[Job]) -> torch.Tensor:
        """Slots of each job's prefix, padded with any slot."""
        table = np.zeros((len(jobs), max(len(job.slots) for job in jobs)), dtype=np.int64)
        for line, job in zip(table, jobs, strict=True):
            line[: len(job.slots)] = job.slots
        return self._index(table)

    def _fill_trunks(self) -> None:
        """Copy prefixes from the pool to where the rows read them."""
        if not self._unfilled:
            return
        numbers, jobs = zip(*self._unfilled, strict=True)
        table = self._table(jobs)
        self.trunks.fit(max(numbers) + 1, table.shape[1])
        values = self.pool.tensor[table].unflatten(2, (-1, 2)).permute(2, 3, 0, 4, 1, 5)
        self.trunks.tensor[:, :, self._index(np.array(numbers)), :, : table.shape[1]] = values
        self._unfilled = []

    def _close_trunks(self) -> None:
        """Move trunks together when many between them are not in use."""
        used = np.flatnonzero(self._siblings)
        n = len(used)
        if n == 0 or used[-1] < 1.25 * n + 4:
            return
        source = used[used >= n]
        target = np.flatnonzero(self._siblings[:n] == 0)
        self.trunks.move(source, target, self.trunks.tensor.shape[4])
        now = np.arange(self.rows.size)
        now[source] = target
        line = self.rows.state[r.TRUNK]
        line[:] = now[line]
        self._siblings[target] = self._siblings[source]
        self._siblings[source] = 0
        self._free_trunks = list(range(n, self.rows.size))

    def _decode(self) -> None:
        state = self.rows.state[:, : self.rows.n]
        width = round_up(int(state[r.FED].max()) + 1)
        self.branches.fit(self.rows.n, width)
        trunk = state[r.TRUNK]
        order = np.argsort(trunk.astype(np.int16), kind="stable")
        ends = np.cumsum(self._siblings)
        rank = np.empty_like(trunk)
        rank[order] = np.arange(len(trunk)) - (ends - self._siblings)[trunk[order]]
        trunk_width = max(1, int(state[r.TRUNK_LENGTH].max()))
        n_trunks = int(trunk.max()) + 1
        self.trunks.fit(n_trunks, trunk_width)
        plan = Decode(
            trunks=self.trunks,
            branches=self.branches,
            n_trunks=n_trunks,
            siblings=int(self._siblings.max()),
            trunk=self._index(trunk),
            rank=self._index(rank),
            trunk_length=self._index(state[r.TRUNK_LENGTH]),
            fed=self._index(state[r.FED]),
            trunk_width=trunk_width,
            branch_width=width,
        )
        logits = self.model(
            input_ids=self._index(state[r.LAST])[None],
            position_ids=self._index(state[r.TRUNK_LENGTH] + state[r.FED])[None],
            use_cache=False,
            plan=plan,
        ).logits[0]
        self.rows.record(*self._draw(logits, state))

    def _draw(self, logits: torch.Tensor, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers = uniforms(state[r.SEED], state[r.FIRST] + state[r.FED])
        numbers = torch.from_numpy(numbers).to(logits.device)
        kinds = np.unique(state[r.SAMPLING])
        if len(kinds) == 1:
            tokens, logprobs = draw(logits, self._samplings[kinds[0]], numbers)
        else:
            tokens = torch.empty(len(logits), dtype=torch.int64, device=logits.device)
            logprobs = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
            for kind in kinds:
                rows = self._index(np.flatnonzero(state[r.SAMPLING] == kind))
                tokens[rows], logprobs[rows] = draw(
                    logits[rows], self._samplings[kind], numbers[rows]
                )
        return tokens.cpu().numpy(), logprobs.cpu().numpy()

    def _finish(self) -> list[Job]:
        """Take finished children out of their rows and start the next ones of the same job."""
        state = self.rows.state[:, : self.rows.n]
        stop = np.isin(state[r.LAST], self._stops)
        step = self._at_step_end(state)
        over = np.flatnonzero(stop | step | (state[r.FED] >= state[r.LIMIT]))
        if not len(over):
            return []
        finished = []
        for row in over:
            job = self.jobs[state[r.JOB, row]]
            finish = "stop" if stop[row] else "step" if step[row] else "length"
            child = Continuation(*self.rows.generated(row), finish)
            job.children[state[r.CHILD, row]] = child
            finished.append((job, child))
        self._keep_steps(over, finished)
        return self._refill(over, [job for job, _ in finished])

    def _at_step_end(self, state: np.ndarray) -> np.ndarray:
        by_step = state[r.BY_STEP].astype(bool)
        if not by_step.any():
            return by_step
        before, token = state[r.STEP_STATE].copy(), state[r.LAST]
        state[r.STEP_STATE] = self.step_ends.following[before, token]
        return by_step & self.step_ends.ends[before, token]

    def _keep_steps(self, over: np.ndarray, finished: list) -> None:
        """Keep what finished steps have read: a search is likely to go on from them."""
        keep, keys, prefixes = [], [], []
        for row, (job, child) in zip(over, finished, strict=True):
            if job.request.stop == "step" and child.finish != "stop":
                key = key_of(job.request.token_ids + child.token_ids[:-1])
                keep.append(row)
                keys.append(key)
                prefixes.append(job.slots)
        if not keep:
            return
        fed = self.rows.state[r.FED, keep]
        rows = np.repeat(keep, fed)
        places = np.arange(len(rows)) - np.repeat(np.cumsum(fed) - fed, fed)
        values = self.branches.tensor[:, :, self._index(rows), :, self._index(places)]
        self.pool.keep(keys, prefixes, fed, values.flatten(1, 2))

    def _refill(self, over: np.ndarray, jobs: list[Job]) -> list[Job]:
        """Use the rows for the same job's next children or leave holes; returns complete jobs."""
        holes, complete = [], []
        for row, job in zip(over, jobs, strict=True):
            job.left -= 1
            if job.waiting:
                self.rows.restart(np.array([row]), job)
                continue
            holes.append(row)
            trunk = self.rows.state[r.TRUNK, row]
            self._siblings[trunk] -= 1
            if self._siblings[trunk] == 0:
                heapq.heappush(self._free_trunks, int(trunk))
            if job.left == 0:
                self.pool.release(job.slots)
                complete.append(self.jobs.pop(job.ticket))
        self.rows.holes = np.concatenate([self.rows.holes, np.array(holes, dtype=np.int64)])
        return complete

    def _index(self, numbers: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self.pool.tensor.device)
