"""Progress in a log: now and then a line with share, rate and time left."""

from contextlib import suppress

import pytest
from testtime.runtime.progress import LOG_EVERY_S, progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


def test_a_log_gets_share_rate_and_time_left(clock, capsys):
    with progress(400, "samples of x", "samples") as bar:
        assert capsys.readouterr().err == ""
        clock[0] = LOG_EVERY_S
        bar.update(20)
        clock[0] = 2 * LOG_EVERY_S - 1
        bar.update(20)  # too soon for another line
        assert capsys.readouterr().err == (
            "samples of x: 20/400 samples (5%), 2 samples/s, 03:10 left\n"
        )


def test_hours_are_written_as_hours(clock, capsys):
    with progress(1000, "searches") as bar:
        clock[0] = 60
        bar.update(10)
    assert "0.167 problems/s, 1:39:00 left" in capsys.readouterr().err


def test_the_last_line_says_that_all_is_done(clock, capsys):
    with progress(2, "searches") as bar:
        clock[0] = 1
        bar.update(1)
        bar.update(1)
    del bar
    assert capsys.readouterr().err == "searches: 2/2 problems (100%), 2 problems/s, 00:00 left\n"


def test_a_line_is_not_written_twice(clock, capsys):
    with progress(2, "searches") as bar:
        clock[0] = LOG_EVERY_S
        bar.update(2)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_no_work_is_no_line(capsys):
    with progress(0, "searches"):
        pass
    assert capsys.readouterr().err == ""


def test_work_that_fails_says_how_far_it_came(clock, capsys):
    with suppress(ValueError), progress(4, "searches") as bar:
        clock[0] = 1
        bar.update(1)
        raise ValueError
    assert capsys.readouterr().err.startswith("searches: 1/4 problems (25%)")


def test_a_clock_that_stands_still_breaks_nothing(clock, capsys):
    with progress(2, "searches") as bar:
        bar.update(2)
    assert "2/2 problems (100%)" in capsys.readouterr().err
