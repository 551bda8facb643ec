"""A node that is taken down with its jobs, on the test cluster."""

import os
import signal
import subprocess
import sys
import time

import pytest
from cluster import missing, running
from needs import require

pytestmark = pytest.mark.slurm

# Like a job's Snakemake: the shell that started it ends at SIGTERM, and it does not.
JOB = """#!/bin/sh
{python} -c '
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("pid", "w").write(str(os.getpid()))
time.sleep(600)
' &
trap 'exit 1' TERM
wait
"""


def test_no_process_of_its_jobs_is_left(tmp_path):
    require("slurm", missing())
    script = tmp_path / "job.sh"
    script.write_text(JOB.format(python=sys.executable))
    with running(tmp_path / "cluster") as cluster:
        command = ["sbatch", "--no-requeue", "--chdir", str(tmp_path), str(script)]
        subprocess.run(command, check=True, capture_output=True)
        pid = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
        try:
            cluster.set_node("DOWN")
            assert wait_for(lambda: not is_there(pid))
        finally:
            if is_there(pid):
                os.kill(pid, signal.SIGKILL)


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(something, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := something()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found
