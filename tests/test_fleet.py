"""The simulated fleet against schedules worked out by hand, bounds and expectations."""

from math import floor
from statistics import fmean

import numpy as np
import pytest
from testtime.errors import UserError
from testtime.study.fleet import (
    DONE,
    FAILED,
    HOUR,
    PREEMPTED,
    Fleet,
    Task,
    critical_path,
    longest_chain,
    lower_bound,
)
from testtime.study.replay import replay


def tasks_at_random(seed, n=60, widths=(1, 1, 2, 4, 8)):
    """Tasks of a few hours that wait for at most three earlier ones."""
    random = np.random.default_rng(seed)
    return [
        Task(
            "search",
            seconds=float(random.exponential(HOUR)),
            start_seconds=60.0,
            gpus=int(random.choice(widths)),
            priority=float(random.integers(5)),
            waits_for=tuple(sorted(set(random.integers(i, size=3).tolist()))) if i > 20 else (),
            kept_seconds=300.0,
        )
        for i in range(n)
    ]


def starts(found):
    return {stay.task: stay.start for stay in found.stays}


def gpu_seconds(tasks):
    return sum(task.gpus * task.whole for task in tasks)


def test_a_small_study_by_hand():
    """Two GPUs. a (3 s) and b (1 s) start; c, on both GPUs, waits for a; d and e fill the gap.

    d ends by the time at which c can start, so it may go first; e (4 s) would delay c.
    """
    a = Task("a", 3.0, gpus=1, priority=9, limit_seconds=3.0)
    b = Task("b", 1.0, gpus=1, priority=8, limit_seconds=1.0)
    c = Task("c", 2.0, gpus=2, priority=7, limit_seconds=2.0)
    e = Task("e", 4.0, gpus=1, priority=6, limit_seconds=4.0)
    d = Task("d", 2.0, gpus=1, priority=5, limit_seconds=2.0)
    found = replay([a, b, c, d, e], Fleet(2))
    assert starts(found) == {0: 0.0, 1: 0.0, 3: 1.0, 2: 3.0, 4: 5.0}
    assert found.makespan_s == 9.0
    assert found.idle == pytest.approx(1 - (3 + 1 + 4 + 2 + 4) / 18)


def test_dependencies_notices_and_places_beside_snakemake_by_hand():
    """Seconds: a 5, noticed at 7; b and c, without GPUs and one at a time, 7 to 8 to 9; d local."""
    a = Task("a", 4.0, start_seconds=1.0, gpus=1)
    b, c = (Task(name, 1.0, waits_for=(0,)) for name in "bc")
    d = Task("d", 3.0, waits_for=(1, 2), local=True)
    found = replay([a, b, c, d], Fleet(1, cpu_jobs=1, noticed_s=2.0))
    assert starts(found) == {0: 0.0, 1: 7.0, 2: 8.0, 3: 11.0}
    assert found.makespan_s == 14.0
    assert critical_path([a, b, c, d], noticed_s=2.0) == [13.0, 6.0, 6.0, 3.0]
    assert longest_chain([a, b, c, d]) == [0, 1, 3]


def test_no_more_jobs_are_submitted_than_allowed_the_most_urgent_first():
    tasks = [Task("a", 1.0, gpus=1, priority=i) for i in range(6)]
    found = replay(tasks, Fleet(8, jobs=2))
    assert starts(found) == {5: 0.0, 4: 0.0, 3: 1.0, 2: 1.0, 1: 2.0, 0: 2.0}


def test_a_job_has_all_its_gpus_on_one_node():
    """Of two nodes with four free GPUs each none holds a job of five."""
    fours = [Task("a", 2.0, gpus=4, priority=9), Task("b", 2.0, gpus=6, priority=8)]
    found = replay([*fours, Task("c", 1.0, gpus=5)], Fleet(16))
    assert starts(found)[2] == 2.0
    assert Fleet(20).nodes == [8, 8, 4]
    with pytest.raises(UserError, match=r"a fleet of 4 GPUs has no node of 5, .* 5 or more"):
        replay([Task("c", 1.0, gpus=5)], Fleet(4))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gpus", [8, 24])
def test_schedules_keep_to_the_bounds(seed, gpus):
    """Of jobs of one GPU no schedule by a list is worse than Graham's bound (1969)."""
    tasks = tasks_at_random(seed)
    assert replay(tasks, Fleet(gpus)).makespan_s >= lower_bound(tasks, gpus) - 1e-6
    single = tasks_at_random(seed, widths=(1,))
    longest, found = max(critical_path(single)), replay(single, Fleet(gpus))
    assert lower_bound(single, gpus) == max(gpu_seconds(single) / gpus, longest)
    assert lower_bound(single, gpus) <= found.makespan_s + 1e-6
    assert found.makespan_s <= gpu_seconds(single) / gpus + (1 - 1 / gpus) * longest + 1e-6


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("store", [True, False])
def test_gpu_hours_are_conserved(seed, store):
    """Held = busy + idle, busy = planned + redone; no GPU is taken twice, none waits in vain."""
    tasks = tasks_at_random(seed)
    fleet = Fleet(16, failures=0.02, preemptions=0.2, away_s=600.0, store=store)
    found = replay(tasks, fleet, seed)
    assert found.faults(FAILED) > 0
    assert found.faults(PREEMPTED) > 0
    assert found.faults(DONE) == len(tasks)
    assert found.busy_s == pytest.approx(gpu_seconds(tasks) + found.redone_s)
    assert found.busy_s == pytest.approx((1 - found.idle) * found.held_s)
    assert found.held_s < 16 * found.makespan_s
    ends = {stay.task: stay.end for stay in found.stays if stay.how == DONE}
    for stay in found.stays:
        assert 0 <= stay.useful <= stay.end - stay.start + 1e-6
        assert all(ends[needed] <= stay.start for needed in tasks[stay.task].waits_for)
        at_once = [s for s in found.stays if s.start <= stay.start < s.end]
        assert sum(tasks[s.task].gpus for s in at_once) <= 16


def test_without_faults_the_gpu_hours_are_those_planned():
    tasks = tasks_at_random(1)
    found = replay(tasks, Fleet(16))
    assert found.busy_s == pytest.approx(gpu_seconds(tasks))
    assert found.redone_s == pytest.approx(0.0)
    assert found.commands == 1
    assert found.held_s == 16 * found.makespan_s


def test_faults_are_as_many_as_expected():
    """Poisson: rate times the time at risk, within four standard deviations of it."""
    tasks = [Task("a", 10 * HOUR, gpus=1, kept_seconds=60.0) for _ in range(800)]
    failed = replay(tasks, Fleet(80, jobs=800, failures=0.05))
    expected = 0.05 * failed.busy_s / HOUR
    assert abs(failed.faults(FAILED) - expected) < 4 * expected**0.5
    tasks = [Task("a", 10 * HOUR, gpus=8, kept_seconds=60.0) for _ in range(200)]
    preempted = replay(tasks, Fleet(80, jobs=800, preemptions=0.2))
    there = preempted.held_s / 8 / HOUR  # node-hours
    assert abs(len(preempted.absences) - 0.2 * there) < 4 * (0.2 * there) ** 0.5
    # A node is there for 1/rate hours in the mean, then away for one.
    assert preempted.held_s / (80 * preempted.makespan_s) == pytest.approx(5 / 6, abs=0.04)


def test_a_store_loses_the_start_and_half_a_unit_in_the_mean():
    """Of a preempted job: its start of 120 s, and what it worked since the last 600 s ended."""
    tasks = [Task("a", 20 * HOUR, 120.0, gpus=8, kept_seconds=600.0) for _ in range(100)]
    found = replay(tasks, Fleet(80, preemptions=0.3, away_s=0.0))
    lost = found.redone_s / 8 / found.faults(PREEMPTED)
    assert lost == pytest.approx(120 + 300, rel=0.1)


def test_what_a_fault_costs_by_hand():
    """Preempted once or more while it works 900 s after a start of 100 s, kept every 400 s."""
    task = Task("a", 900.0, 100.0, gpus=1, kept_seconds=400.0)
    for seed in range(20):
        fleet = Fleet(1, preemptions=2.0, away_s=50.0)
        done, found = 0.0, replay([task], fleet, seed)
        for stay in found.stays[:-1]:
            kept = floor((done + max(0.0, stay.end - stay.start - 100)) / 400) * 400
            assert stay.useful == pytest.approx(max(done, kept) - done)
            done = max(done, kept)
        last = found.stays[-1]
        assert last.end - last.start == pytest.approx(100 + 900 - done)


def test_without_a_store_a_job_takes_as_long_as_renewal_theory_says():
    """Until d hours pass without a fault at rate r: (e^(rd) - 1) / r hours in the mean."""
    task, rate = Task("a", HOUR, gpus=1, kept_seconds=60.0), 1.0
    fleet = Fleet(1, preemptions=rate, away_s=0.0, store=False)
    hours = [replay([task], fleet, seed).makespan_s / HOUR for seed in range(4000)]
    assert fmean(hours) == pytest.approx(np.expm1(rate) / rate, rel=0.05)


def test_a_job_that_fails_too_often_waits_for_the_next_command():
    """At one retry every second failure ends an attempt; the others are done meanwhile."""
    tasks = [Task("a", HOUR, gpus=1), Task("b", 8 * HOUR)]
    found = replay(tasks, Fleet(1, failures=3.0, retries=1), seed=3)
    failures = found.faults(FAILED)
    assert failures >= 2
    assert found.commands == 1 + failures // 2
    again = sorted(stay.start for stay in found.stays if stay.task == 0)[2]
    assert again >= 8 * HOUR


def test_the_same_seed_gives_the_same_faults():
    tasks, fleet = tasks_at_random(2), Fleet(16, failures=0.1, preemptions=0.2)
    assert replay(tasks, fleet, 5).stays == replay(tasks, fleet, 5).stays
    assert replay(tasks, fleet, 5).stays != replay(tasks, fleet, 6).stays


def test_a_circle_is_refused():
    with pytest.raises(ValueError, match="circle"):
        critical_path([Task("a", 1.0, waits_for=(1,)), Task("b", 1.0, waits_for=(0,))])
