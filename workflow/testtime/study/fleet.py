"""A fleet of GPUs, the jobs of a study as it sees them, and what became of them there."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

HOUR = 3600.0
NODE = 8  # GPUs of a node, if the fleet has as many
DONE, FAILED, PREEMPTED = "done", "failed", "preempted"


@dataclass(frozen=True)
class Task:
    """A job as a fleet sees it.

    Attributes:
        name: of its stage.
        seconds: of work, once its models are loaded.
        start_seconds: until then, at every start.
        gpus: all on one node; 0 for a job that needs none.
        priority: higher ones are submitted first.
        waits_for: indices of the tasks that must be done before.
        local: whether it runs beside Snakemake.
        kept_seconds: what it has done is kept each time it has worked so long.
        limit_seconds: time that it asks of Slurm, at most that it takes.
    """

    name: str
    seconds: float
    start_seconds: float = 0.0
    gpus: int = 0
    priority: float = 0.0
    waits_for: tuple[int, ...] = ()
    local: bool = False
    kept_seconds: float = inf
    limit_seconds: float = inf

    @property
    def whole(self) -> float:
        """Seconds without any fault."""
        return self.start_seconds + self.seconds


@dataclass(frozen=True)
class Fleet:
    """GPUs, and how they are used.

    Attributes:
        gpus: in nodes of `NODE`, and one smaller node for the rest.
        jobs: most that are submitted at once, Snakemake's `jobs`.
        cpu_jobs: that run at once on nodes without GPUs.
        local_jobs: that run at once beside Snakemake.
        noticed_s: seconds until Snakemake knows that a submitted job has ended.
        retries: of a job that failed, before the command has to be given again.
        failures: of a job, per hour of each of its GPUs. Snakemake submits it again.
        preemptions: of a node, per hour. Slurm puts its jobs back into the queue.
        away_s: seconds until a preempted node is back.
        store: whether work is kept as `Task.kept_seconds` says; otherwise a fault loses all.
    """

    gpus: int
    jobs: int = 100
    cpu_jobs: int = 16
    local_jobs: int = 2
    noticed_s: float = 0.0
    retries: int = 2
    failures: float = 0.0
    preemptions: float = 0.0
    away_s: float = HOUR
    store: bool = True

    @property
    def nodes(self) -> list[int]:
        """GPUs of each node."""
        rest = self.gpus % NODE
        return [NODE] * (self.gpus // NODE) + ([rest] if rest else [])


@dataclass(frozen=True)
class Stay:
    """A task on its GPUs, from its start to its end or a fault.

    Attributes:
        task: its index.
        start: seconds since the beginning of the study.
        end: likewise.
        useful: seconds of it that need not be done again: work that was kept, and the last start.
        how: `DONE`, `FAILED` or `PREEMPTED`.
    """

    task: int
    start: float
    end: float
    useful: float
    how: str


@dataclass(frozen=True)
class Replay:
    """What became of a study.

    Attributes:
        fleet: that it ran on.
        tasks: its jobs.
        stays: of all of them, those without GPUs too, by their end.
        absences: of preempted nodes: which one, from when to when.
        commands: times that the command was given, as jobs had failed too often.
    """

    fleet: Fleet
    tasks: Sequence[Task]
    stays: Sequence[Stay]
    absences: Sequence[tuple[int, float, float]] = ()
    commands: int = 1

    @property
    def makespan_s(self) -> float:
        """Seconds from the first job's start to the last one's end."""
        return max((stay.end for stay in self.stays), default=0.0)

    @property
    def busy_s(self) -> float:
        """GPU-seconds in which GPUs were held by jobs."""
        return sum(self.tasks[s.task].gpus * (s.end - s.start) for s in self.stays)

    @property
    def redone_s(self) -> float:
        """GPU-seconds of them that had to be done again."""
        return self.busy_s - sum(self.tasks[s.task].gpus * s.useful for s in self.stays)

    @property
    def held_s(self) -> float:
        """GPU-seconds of the fleet until the study's end, without those of nodes that were away."""
        end, nodes = self.makespan_s, self.fleet.nodes
        away = (nodes[n] * (min(back, end) - min(gone, end)) for n, gone, back in self.absences)
        return self.fleet.gpus * end - sum(away)

    @property
    def idle(self) -> float:
        """Share of them in which no job held the GPU."""
        return 1 - self.busy_s / self.held_s if self.held_s else 0.0

    def faults(self, how: str) -> int:
        """Number of stays that ended so."""
        return sum(stay.how == how for stay in self.stays)


def critical_path(tasks: Sequence[Task], noticed_s: float = 0.0) -> list[float]:
    """Seconds from each task's start to the end of the longest chain that waits for it.

    Args:
        tasks: of a study.
        noticed_s: as of `Fleet`.

    Raises:
        ValueError: tasks wait for each other in a circle.
    """
    left = [0] * len(tasks)  # followers whose own chain is not known yet
    for task in tasks:
        for needed in task.waits_for:
            left[needed] += 1
    after = [0.0] * len(tasks)
    known = [index for index, followers in enumerate(left) if not followers]
    for index in known:  # grows on the way
        for needed in tasks[index].waits_for:
            notice = 0.0 if tasks[needed].local else noticed_s
            after[needed] = max(after[needed], notice + tasks[index].whole + after[index])
            left[needed] -= 1
            if not left[needed]:
                known.append(needed)
    if len(known) < len(tasks):
        raise ValueError("tasks wait for each other in a circle")
    return [task.whole + own for task, own in zip(tasks, after, strict=True)]


def longest_chain(tasks: Sequence[Task], noticed_s: float = 0.0) -> list[int]:
    """The tasks, one waiting for the other, that take longest together, in their order."""
    left = critical_path(tasks, noticed_s)
    followers: list[list[int]] = [[] for _ in tasks]
    for index, task in enumerate(tasks):
        for needed in task.waits_for:
            followers[needed].append(index)
    chain = [max(range(len(tasks)), key=left.__getitem__)]
    while followers[chain[-1]]:
        chain.append(max(followers[chain[-1]], key=left.__getitem__))
    return chain


def lower_bound(tasks: Sequence[Task], gpus: int) -> float:
    """Seconds that no schedule without faults can be below: all work, or the longest chain."""
    work = sum(task.gpus * task.whole for task in tasks) / gpus
    return max(work, *critical_path(tasks))
