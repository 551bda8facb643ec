"""A real Slurm of one node on this machine, from Debian's packages, for tests.

Slurm's commands find it through /etc/slurm, because a job step does not keep SLURM_CONF.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

PACKAGES = "slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge"
TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
ETC = Path("/etc/slurm")
CONFS = ("slurm.conf", "gres.conf")
DAEMONS = ("slurmd", "slurmctld", "munged")
CPUS, MEMORY_MB = 8, 64_000  # more than a small machine has: jobs of tests mostly start up and wait


def missing() -> str | None:
    """Why no cluster can be started here, or None."""
    if os.geteuid() != 0:
        return "only root can start a Slurm"
    if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"no {', '.join(lacking)}: apt-get install --no-install-recommends {PACKAGES}"
    for name in CONFS:
        conf = ETC / name
        if conf.is_file() and not conf.is_symlink():
            return f"{conf} belongs to this machine's own Slurm"
        pid_file = conf.resolve().parents[1] / "run" / "slurmctld.pid"
        if conf.is_symlink() and _is_running(_read_pid(pid_file)):
            return f"another test runs a Slurm, see {pid_file}"
    return None


class Cluster:
    """A running cluster; `folder` holds its state and logs."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.host = socket.gethostname().split(".")[0]

    def start(self) -> None:
        """Write the configuration and start all daemons.

        Raises:
            RuntimeError: the node is not idle after half a minute; the message holds the logs.
        """
        for name in ("etc", "run", "log", "state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        key = self.folder / "etc/munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        self._configure()
        _call("munged", "--force", f"--key-file={key}", "--num-threads=2", *self._munge_files())
        self.start_daemon("slurmctld")
        self.start_daemon("slurmd")
        self._wait_for("the node", lambda: _ask("sinfo", "-h", "-o", "%t") == "idle")

    def stop(self) -> None:
        """End every job and daemon of this cluster, and no other process."""
        subprocess.run(["scancel", "--full", "--user", "root"], check=False, capture_output=True)
        time.sleep(1)
        for daemon in DAEMONS:
            self.end(daemon, signal.SIGTERM)
        for name in CONFS:
            (ETC / name).unlink(missing_ok=True)

    def end(self, daemon: str, sign: signal.Signals) -> None:
        """Signal a daemon by its pid file and wait until it is gone."""
        pid = _read_pid(self.folder / f"run/{daemon}.pid")
        if not _is_running(pid):
            return
        os.kill(pid, sign)
        deadline = time.monotonic() + 15
        while _is_running(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def start_daemon(self, daemon: str) -> None:
        """Start slurmctld, which goes on from its saved state, or slurmd, which finds its jobs."""
        if daemon == "slurmctld":
            _call(daemon)
            self._wait_for(daemon, lambda: "UP" in _ask("scontrol", "ping"))
        else:
            _call(daemon, "-N", self.host)

    def resume_node(self) -> bool:
        """Put a drained node back into service, as an administrator does; whether it was one."""
        drained = "drain" in _ask("sinfo", "-h", "-o", "%T")
        if drained:
            self.set_node("RESUME")
        return drained

    def set_node(self, state: str) -> None:
        """Give the node a state, as an administrator does: DOWN with all its jobs, or RESUME."""
        node = [f"NodeName={self.host}", f"State={state}", "Reason=test"]
        subprocess.run(["scontrol", "update", *node], check=False, capture_output=True)

    def start_lost_jobs(self) -> list[str]:
        """Let the node tell what it runs, as an administrator does; which jobs it has lost.

        A controller that was killed before it saved their end takes them for running, for hours;
        when the node tells, it puts them back into the queue.
        """
        running = [job for job in self.jobs() if job["JobState"] == "RUNNING"]
        begun = [job["JobId"] for job in running if job["RunTime"] >= "00:00:30"]
        lost = [job for job in begun if not self.pids(job)]
        if lost:
            subprocess.run(["scontrol", "reconfigure"], check=False, capture_output=True)
        return lost

    def start_requeued(self) -> None:
        """Let jobs that were put back into the queue start now, and not after two minutes."""
        for job in self.jobs():
            if job["Reason"] == "BeginTime":
                command = ["scontrol", "update", f"JobId={job['JobId']}", "StartTime=now"]
                subprocess.run(command, check=False, capture_output=True)

    def run_urgent(self, seconds: float) -> None:
        """Run a job for which all others leave the node, and wait for its end."""
        job = ["--partition", "urgent", "--exclusive", "--mem", str(MEMORY_MB), "--output", "none"]
        _call("sbatch", "--wait", *job, "--chdir", str(self.folder), "--wrap", f"sleep {seconds}")

    def jobs(self) -> list[dict[str, str]]:
        """Every job since the start, ended ones included, as `scontrol show job` tells them."""
        lines = _ask("scontrol", "show", "job", "--oneliner").splitlines()
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if "JobId=" in line]

    def pids(self, job_id: str) -> list[int]:
        """Processes of a running job on this node."""
        lines = _ask("scontrol", "listpids", job_id).splitlines()[1:]
        return sorted({int(line.split()[0]) for line in lines if line.split()[0] != "-1"})

    def _configure(self) -> None:
        values = {
            "host": self.host,
            "folder": str(self.folder),
            "epilog": str(Path(__file__).parent / "epilog.sh"),
            "cpus": CPUS,
            "memory_mb": MEMORY_MB,
            "controller_port": _free_port(),
            "node_port": _free_port(),
        }
        ETC.mkdir(exist_ok=True)
        for name in CONFS:
            text = (Path(__file__).parent / name).read_text()
            (self.folder / "etc" / name).write_text(Template(text).substitute(values))
            (ETC / name).unlink(missing_ok=True)
            (ETC / name).symlink_to(self.folder / "etc" / name)

    def _munge_files(self) -> list[str]:
        run = self.folder / "run"
        return [
            f"--socket={run}/munge.sock",
            f"--pid-file={run}/munged.pid",
            f"--seed-file={run}/munged.seed",
            f"--log-file={self.folder}/log/munged.log",
        ]

    def _wait_for(self, what: str, is_there) -> None:
        deadline = time.monotonic() + 30
        while not is_there():
            if time.monotonic() > deadline:
                logs = [path.read_text()[-2000:] for path in self.folder.glob("log/*.log")]
                raise RuntimeError("\n".join([f"{what} did not come up", *logs]))
            time.sleep(0.2)


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster for the length of a block."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _call(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")


def _ask(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _is_running(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        # A zombie that nobody has waited for is dead.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
