"""Child processes that compare answers: what one pair does to them, it does to itself alone."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from testtime.grade import worker
from testtime.grade.workers import Reply, Task, Workers
from testtime.study.closure import import_closure

ENDLESS = Task("equal", (r"\sum_{k=1}^{10^{10}} \frac{1}{k^{k}}", "5"))
HUGE = Task("equal", ("(x+1)^{99999999}", "5"))
QUICK = [Task("equal", (rf"\sum_{{k=1}}^{{{n}}} k", str(n * (n + 1) // 2))) for n in range(2, 8)]


def living() -> list[int]:
    """Process ids of the workers that this process has."""
    children = psutil.Process().children()
    commands = [child.as_dict(["cmdline"])["cmdline"] for child in children]  # a zombie's is None
    return [
        child.pid
        for child, command in zip(children, commands, strict=True)
        if worker.__name__ in (command or ())
    ]


def test_a_pair_that_never_ends_costs_that_pair_only():
    tasks = [*QUICK[:3], ENDLESS, *QUICK[3:]]
    with Workers(1, time_limit_s=1.5) as workers:
        replies = workers.run(tasks)
    assert [reply.result for reply in replies] == [True] * 3 + [None] + [True] * 3
    assert replies[3].reason == "undecided: over 1.5 s"


def test_a_worker_out_of_memory_costs_that_pair_only():
    with Workers(1, time_limit_s=30, memory_limit_mb=512) as workers:
        replies = workers.run([QUICK[0], HUGE, QUICK[1]])
    assert [reply.result for reply in replies] == [True, None, True]
    assert replies[1].reason == "undecided: over the memory limit"


def test_killing_a_worker_costs_that_pair_only():
    with Workers(1, time_limit_s=60) as workers:
        killed, killers = [], []

        def kill(index, _reply):
            if index == 0:
                # The endless pair is sent next, to the only worker.
                (pid,) = living()
                killed.append(pid)
                killers.append(subprocess.Popen([sys.executable, "-c", _KILL.format(pid=pid)]))

        replies = workers.run([QUICK[0], ENDLESS, QUICK[1]], on_reply=kill)
        assert living() != killed
        assert killers[0].wait() == 0
    assert replies[0].result is True
    assert replies[1] == Reply(None, "undecided: the worker was lost")
    assert replies[2].result is True


_KILL = "import os, signal, time; time.sleep(1); os.kill({pid}, signal.SIGKILL)"


def test_replies_keep_the_order_of_tasks_and_workers_end_with_the_block():
    sums = range(12, 2, -1)
    with Workers(2) as workers:
        replies = workers.run(Task("value", (rf"\sum_{{k=1}}^{{{n}}} k",)) for n in sums)
        pids = living()
    assert pids
    assert [reply.result for reply in replies] == [
        {"kind": "number", "parts": [str(n * (n + 1) // 2), "0"], "certain": True} for n in sums
    ]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIG_DFL)


def test_a_task_is_done_once():
    with Workers(1, time_limit_s=1.5) as workers:
        seen = []
        tasks = [ENDLESS, QUICK[0], ENDLESS]
        first = workers.run(tasks, on_reply=lambda *found: seen.append(found))
        assert workers.run(tasks, on_reply=lambda *found: seen.append(found)) == first
    assert [reply.result for reply in first] == [None, True, None]
    assert len(seen) == 2


def test_no_worker_starts_for_nothing():
    with Workers(2) as workers:
        assert workers.run([]) == []
        assert living() == []


def test_a_script_without_a_main_guard_can_grade(tmp_path):
    script = tmp_path / "sympy.py"  # the name of what workers import, too
    script.write_text(
        "import pandas as pd\n"
        "from testtime.grade.grading import grade_answers\n"
        "from testtime.grade.workers import Workers\n"
        "rows = pd.DataFrame({'problem_id': ['p'], 'answer': [r'\\sum_{k=1}^3 k']})\n"
        "with Workers() as workers:\n"
        "    print(grade_answers(rows, {'p': '6'}, workers)['correct'].tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", str(script)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=90,
    )
    assert done.stdout == "[True]\n", done.stderr


LOCKED = """
import os, socket, subprocess
from testtime.grade import mathverify, worker
mathverify.load()
worker.lock_down()
import sympy
attempts = [
    lambda: os.system("touch {marker}"),
    lambda: subprocess.Popen(["touch", "{marker}"]),
    lambda: open("{marker}", "w"),
    lambda: os.open("{marker}", os.O_CREAT | os.O_WRONLY),
    lambda: os.mkdir("{marker}"),
    lambda: socket.create_connection(("127.0.0.1", 9)),
    lambda: sympy.sympify("__import__('os').system('touch {marker}')"),
    lambda: sympy.parsing.sympy_parser.parse_expr("__import__('os')"),
    lambda: __import__("yaml"),
]
for attempt in attempts:
    try:
        attempt()
    except (worker.Refused, ImportError):
        continue
    raise SystemExit("not refused")
print("all refused", mathverify.equal(r"\\frac{{x^2-1}}{{x-1}}", "x+1"))
"""


def test_a_worker_refuses_to_run_write_connect_or_evaluate(tmp_path):
    marker = tmp_path / "marker"
    done = subprocess.run(
        [sys.executable, "-c", LOCKED.format(marker=marker)],
        check=False, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.stdout == "all refused (True, 'math-verify: equal')\n", done.stderr
    assert not marker.exists()


def test_grades_follow_an_edit_of_what_only_workers_run(root):
    files = import_closure(root / "workflow/scripts/grade_samples.py")
    assert {"mathverify.py", "worker.py"} <= {path.name for path in files}


def test_workers_that_cannot_start_are_reported(monkeypatch):
    monkeypatch.setattr("testtime.grade.workers.sys.executable", "/bin/false")
    started = time.monotonic()
    with Workers(1) as workers, pytest.raises(RuntimeError, match="do not start"):
        workers.run(QUICK[:1])
    assert time.monotonic() - started < 20
