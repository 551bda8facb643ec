"""A study replayed on a fleet of GPUs: who waits for whom, and what faults cost.

A discrete-event simulation of Snakemake with its Slurm profile. Of the jobs whose files are there
Snakemake submits those of the highest priority, up to a number of jobs; Slurm starts them in the
order of submission, each on one node, and fills gaps as long as the first one that waits is not
delayed ("EASY" backfilling: Lifka 1995, "The ANL/IBM SP scheduling system"). Durations are given,
so what is simulated is waiting and faults, not speed.
"""

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import floor, inf

import numpy as np

from testtime.errors import UserError
from testtime.study.fleet import DONE, FAILED, HOUR, PREEMPTED, Fleet, Replay, Stay, Task


def replay(tasks: Sequence[Task], fleet: Fleet, seed: int = 0) -> Replay:
    """Run all tasks on a fleet.

    Args:
        tasks: of a study.
        fleet: to run them on.
        seed: of the faults.

    Raises:
        UserError: a task has more GPUs than any node.
    """
    most = max((task.gpus for task in tasks), default=0)
    if most > max(fleet.nodes):
        raise UserError(
            f"a fleet of {fleet.gpus} GPUs has no node of {most}, which a job of this study holds; "
            f"allowed are {most} or more"
        )
    return _Simulation(tasks, fleet, np.random.default_rng(seed)).run()


@dataclass(frozen=True)
class _Running:
    """A task that runs.

    Attributes:
        task: its index.
        node: that it has GPUs of, None without GPUs.
        start: seconds since the beginning.
        done: seconds of its work that were done before.
        limit: when the time that it asked for ends.
    """

    task: int
    node: int | None
    start: float
    done: float
    limit: float


class _Simulation:
    """Snakemake, Slurm and the nodes at one moment; see `Fleet` for the rules that they follow."""

    def __init__(self, tasks: Sequence[Task], fleet: Fleet, random: np.random.Generator):
        self.tasks, self.fleet, self.random = tasks, fleet, random
        self.now, self.commands = 0.0, 1
        self.numbers = count()  # of events and of what runs
        self.events: list[tuple[float, int, Callable[[int], None], int]] = []
        self.stays: list[Stay] = []
        # Tasks: what they wait for, how often they have failed, seconds of work that are kept.
        self.followers: list[list[int]] = [[] for _ in tasks]
        for index, task in enumerate(tasks):
            for needed in task.waits_for:
                self.followers[needed].append(index)
        self.missing = [len(task.waits_for) for task in tasks]
        self.failed, self.done = [0] * len(tasks), [0.0] * len(tasks)
        self.unfinished = len(tasks)
        self.given_up: list[int] = []
        # Snakemake: tasks whose inputs are there, by priority, and how many it waits for.
        self.ready: dict[bool, list[tuple[float, int]]] = {True: [], False: []}  # by being local
        self.local = self.submitted = 0
        # Slurm: the queues in the order of submission, what runs, and what is free of each node.
        self.places: dict[int, int] = {}
        self.queue: list[tuple[int, int]] = []
        self.cpu_queue: list[tuple[int, int]] = []
        self.running: dict[int, _Running] = {}
        self.cpu_running = 0
        self.free = list(fleet.nodes)
        self.away: dict[int, float] = {}  # since when
        self.absences: list[tuple[int, float, float]] = []

    def run(self) -> Replay:
        for index in range(len(self.tasks)):
            self._offer(index)
        for node in range(len(self.free)):
            self._expect_preemption(node)
        self._advance()
        while self.unfinished:
            self.now, _, happens, what = heappop(self.events)
            happens(what)
            if not self.events or self.events[0][0] > self.now:  # all that happens at this time
                self._advance()
        end = max((stay.end for stay in self.stays), default=0.0)
        away = [*self.absences, *((node, since, end) for node, since in self.away.items())]
        return Replay(self.fleet, self.tasks, self.stays, away, self.commands)

    def _advance(self) -> None:
        """Submit and start whatever can be."""
        waits = self.submitted or self.local or self.ready[True] or self.ready[False]
        if self.given_up and not waits:
            self.commands += 1
            again, self.given_up = self.given_up, []
            for index in again:
                self.failed[index] = 0
                self._offer(index)
        while self.ready[True] and self.local < self.fleet.local_jobs:
            self.local += 1
            self._start(heappop(self.ready[True])[1], None)
        while self.ready[False] and self.submitted < self.fleet.jobs:
            self.submitted += 1
            _, index = heappop(self.ready[False])
            self.places[index] = next(self.numbers)
            self._enqueue(index)
        while self.cpu_queue and self.cpu_running < self.fleet.cpu_jobs:
            self.cpu_running += 1
            self._start(self.cpu_queue.pop(0)[1], None)
        self._fill_nodes()

    def _at(self, seconds: float, happens: Callable[[int], None], what: int) -> None:
        heappush(self.events, (self.now + seconds, next(self.numbers), happens, what))

    def _wait(self, rate: float) -> float:
        """Seconds until the next of some independent events, at their rate per hour."""
        return self.random.exponential(HOUR / rate) if rate else inf

    # Snakemake.

    def _offer(self, index: int) -> None:
        if not self.missing[index]:
            task = self.tasks[index]
            heappush(self.ready[task.local], (-task.priority, index))

    def _notice_done(self, index: int) -> None:
        self._forget(index)
        self.unfinished -= 1
        for follower in self.followers[index]:
            self.missing[follower] -= 1
            self._offer(follower)

    def _notice_failed(self, index: int) -> None:
        self._forget(index)
        self.failed[index] += 1
        if self.failed[index] <= self.fleet.retries:
            self._offer(index)
        else:
            self.given_up.append(index)

    def _forget(self, index: int) -> None:
        if self.tasks[index].local:
            self.local -= 1
        else:
            self.submitted -= 1

    # Slurm.

    def _enqueue(self, index: int) -> None:
        """Queue a task; one that was preempted has its old place."""
        queue = self.queue if self.tasks[index].gpus else self.cpu_queue
        insort(queue, (self.places[index], index))

    def _fill_nodes(self) -> None:
        """Start waiting tasks in their order; later ones only where they delay not the first."""
        first_at, first_node, spare = inf, None, 0
        some = [node for node, free in enumerate(self.free) if free]
        for place in list(self.queue):
            if not some:
                return
            _, index = place
            task = self.tasks[index]
            until = self.now + task.limit_seconds
            fits = [
                (self.free[node], node)
                for node in some
                if self.free[node] >= task.gpus
                and (node != first_node or task.gpus <= spare or until <= first_at)
            ]
            if fits:
                _, node = min(fits)  # the fullest node that holds it
                if node == first_node and until > first_at:
                    spare -= task.gpus
                self.queue.remove(place)
                self._start(index, node)
                some = [node for node in some if self.free[node]]
            elif first_node is None:
                first_at, first_node, spare = self._reserve(task.gpus)

    def _reserve(self, gpus: int) -> tuple[float, int | None, int]:
        """By when a node has so many GPUs free, which one, and how many more it has then."""
        ends: list[list[tuple[float, int]]] = [[] for _ in self.free]
        for own in self.running.values():
            if own.node is not None:
                ends[own.node].append((own.limit, self.tasks[own.task].gpus))
        found = []
        for node, size in enumerate(self.fleet.nodes):
            if size < gpus or node in self.away:
                continue
            free, at = self.free[node], self.now
            for limit, released in sorted(ends[node]):
                if free >= gpus:
                    break
                free, at = free + released, limit
            found.append((at, node, free - gpus))
        return min(found, default=(inf, None, 0))

    def _start(self, index: int, node: int | None) -> None:
        task, number = self.tasks[index], next(self.numbers)
        limit = self.now + task.limit_seconds
        self.running[number] = _Running(index, node, self.now, self.done[index], limit)
        if node is not None:
            self.free[node] -= task.gpus
        lasts = task.whole - self.done[index]
        fails = self._wait(self.fleet.failures * task.gpus)
        self._at(min(lasts, fails), self._finish if lasts <= fails else self._fail, number)

    def _finish(self, number: int) -> None:
        if number in self.running:  # it was not preempted
            own = self._end(number, DONE)
            self._tell(own.task, self._notice_done)

    def _fail(self, number: int) -> None:
        if number in self.running:
            own = self._end(number, FAILED)
            self._tell(own.task, self._notice_failed)

    def _tell(self, index: int, notice: Callable[[int], None]) -> None:
        self._at(0.0 if self.tasks[index].local else self.fleet.noticed_s, notice, index)

    def _expect_preemption(self, node: int) -> None:
        if self.fleet.preemptions:
            self._at(self._wait(self.fleet.preemptions), self._preempt, node)

    def _preempt(self, node: int) -> None:
        for number in [number for number, own in self.running.items() if own.node == node]:
            self._enqueue(self._end(number, PREEMPTED).task)
        self.away[node] = self.now
        self.free[node] = 0
        self._at(self.fleet.away_s, self._return, node)

    def _return(self, node: int) -> None:
        self.absences.append((node, self.away.pop(node), self.now))
        self.free[node] = self.fleet.nodes[node]
        self._expect_preemption(node)

    def _end(self, number: int, how: str) -> _Running:
        """End a task, well or not, and note what it has done."""
        own = self.running.pop(number)
        task = self.tasks[own.task]
        if own.node is not None:
            self.free[own.node] += task.gpus
        elif not task.local:
            self.cpu_running -= 1
        useful = self.now - own.start
        if how != DONE:
            useful = self._kept(own) - own.done
            self.done[own.task] = own.done + useful
        self.stays.append(Stay(own.task, own.start, self.now, useful, how))
        return own

    def _kept(self, own: _Running) -> float:
        """Seconds of work that are kept of a task that is interrupted now."""
        task = self.tasks[own.task]
        worked = own.done + max(0.0, self.now - own.start - task.start_seconds)
        if not self.fleet.store or task.kept_seconds == inf:
            return 0.0
        return max(own.done, floor(worked / task.kept_seconds) * task.kept_seconds)
