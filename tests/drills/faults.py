"""What happens to runs on clusters: each function does one of these things to a running study.

A function returns whether it could: some need a job that runs just then. None of them cleans up
what it leaves behind, but for what an administrator or Slurm itself would do: daemons come up again
and a node that was down is put back into service.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from studies import outputs

if TYPE_CHECKING:
    from faults_at_random import Drill

OUTAGE = (1.0, 10.0)  # seconds
PATIENCE = 120.0  # seconds in which something that was asked for must have happened


def controller_killed(drill: "Drill") -> bool:
    """Slurm's controller dies and comes back; it may forget what it has not saved."""
    return _daemon_killed(drill, "slurmctld")


def node_daemon_killed(drill: "Drill") -> bool:
    """The daemon of the node dies and comes back; its jobs go on meanwhile."""
    return _daemon_killed(drill, "slurmd")


def node_down(drill: "Drill") -> bool:
    """An administrator takes the node down with its jobs, and puts it back."""
    if not drill.running_jobs():
        return False
    drill.cluster.set_node("DOWN")
    time.sleep(drill.random.uniform(*OUTAGE))
    drill.cluster.set_node("RESUME")
    return True


def job_killed(drill: "Drill") -> bool:
    """The script of a job dies, as by the kernel for want of memory."""
    pids = drill.cluster.pids(drill.random_job()) if drill.running_jobs() else []
    if pids:
        kill(pids[-1])  # the youngest; a killed shell would leave it behind
    return bool(pids)


def all_jobs_killed_after_writing(drill: "Drill") -> bool:
    """Everything on the node dies in the moment in which a job's output gets into its place."""
    before, deadline = _from_nodes(drill), time.monotonic() + PATIENCE
    pids: list[int] = []
    while time.monotonic() < deadline and drill.run.poll() is None:
        pids = [pid for job in drill.running_jobs() for pid in drill.cluster.pids(job)] or pids
        if _from_nodes(drill) - before:
            for pid in pids:
                kill(pid)
            return bool(pids)
    return False


def job_cancelled(drill: "Drill") -> bool:
    """`scancel` of a job."""
    return _on_a_job(drill, "scancel")


def job_requeued(drill: "Drill") -> bool:
    """`scontrol requeue` of a job, which Slurm then starts again under its number."""
    return _on_a_job(drill, "scontrol", "requeue")


def preempted(drill: "Drill") -> bool:
    """Someone's urgent job takes the whole node, and Slurm puts the others back into the queue."""
    if not drill.running_jobs():
        return False
    drill.cluster.run_urgent(drill.random.uniform(*OUTAGE))
    return True


def snakemake_killed(drill: "Drill") -> bool:
    """Snakemake dies, its jobs live on, and the same command is given again."""
    kill(drill.run.pid, whole_group=True)
    drill.run.wait()
    drill.start()
    return True


def snakemake_killed_and_moved(drill: "Drill") -> bool:
    """Snakemake dies, its jobs live on, and someone goes on from another checkout."""
    kill(drill.run.pid, whole_group=True)
    drill.run.wait()
    drill.move()
    drill.start()
    return True


def snakemake_terminated(drill: "Drill") -> bool:
    """SIGTERM, after which Snakemake waits for its jobs and exits."""
    return _ended(drill, signal.SIGTERM)


def interrupted(drill: "Drill") -> bool:
    """Ctrl-C, after which Snakemake cancels its jobs and exits."""
    return _ended(drill, signal.SIGINT)


def second_run(drill: "Drill") -> bool:
    """Another checkout starts on the same results, which must be refused."""
    said = drill.try_beside()
    if drill.run.poll() is not None:
        return False  # the first had just ended
    if "another run is writing" not in said:
        raise SystemExit(f"a second run was not refused:\n{said}")
    return True


FAULTS = {
    function.__name__: function
    for function in (
        controller_killed,
        node_daemon_killed,
        node_down,
        job_killed,
        all_jobs_killed_after_writing,
        job_cancelled,
        job_requeued,
        preempted,
        snakemake_killed,
        snakemake_killed_and_moved,
        snakemake_terminated,
        interrupted,
        second_run,
    )
}


def kill(pid: int, *, whole_group: bool = False) -> None:
    """SIGKILL of a process that may have ended by itself."""
    with suppress(ProcessLookupError):
        (os.killpg if whole_group else os.kill)(pid, signal.SIGKILL)


def _daemon_killed(drill: "Drill", daemon: str) -> bool:
    drill.cluster.end(daemon, signal.SIGKILL)
    time.sleep(drill.random.uniform(*OUTAGE))
    drill.cluster.start_daemon(daemon)
    return True


def _on_a_job(drill: "Drill", *command: str) -> bool:
    if not drill.running_jobs():
        return False
    return subprocess.run([*command, drill.random_job()], check=False).returncode == 0


def _ended(drill: "Drill", sign: signal.Signals) -> bool:
    drill.run.send_signal(sign)
    try:
        drill.run.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        print(f"  Snakemake did not end within {PATIENCE:.0f} s of {sign.name}", flush=True)
        kill(drill.run.pid, whole_group=True)
        drill.run.wait()
    drill.start()
    return True


def _from_nodes(drill: "Drill") -> set[Path]:
    """The outputs that jobs on nodes have made so far."""
    folders = [drill.results / kind for kind in ("generations", "scores", "searches", "grades")]
    return {path for folder in folders if folder.exists() for path in outputs(folder)}
