"""Jobs of the workflow that are killed at random, and started again by the same command."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
import yaml
from studies import assert_same_tables
from testtime.data.rows import read_rows

STUDY = {
    "policies": ["micro-xs"],
    "prms": ["micro-prm-good"],
    "methods": ["cot", "majority", "best_of_n", "beam_search", "dvts"],
    "problems": {"limit": 30},
    "budgets": {"pool": [4, 128], "search": [4, 32]},
    "difficulty": {"samples": 16},
    "evaluate": {"subsets": 100, "bootstrap": 100},
    "fit": {"folds": 3, "repeats": 2},
}


class Study:
    """A small study in a folder of its own."""

    def __init__(self, root, folder):
        folder.mkdir()
        (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
        configs = [root / "config.yaml", folder / "study.yaml"]
        self.folder, self.results = folder, folder / "results"
        self.command = [
            *(sys.executable, "-m", "snakemake", "--cores", "2"),
            *("--snakefile", root / "Snakefile", "--configfile", *configs, "--directory", folder),
        ]

    def run(self, *targets):
        command = [*self.command[:5], *targets, *self.command[5:]]
        subprocess.run(command, check=True, capture_output=True)

    def start(self):
        output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(self.command, start_new_session=True, **output)

    def kept(self):
        """How often each row was computed, by stamp and key."""
        found = Counter()
        for path in self.results.glob("store/*/**/*.jsonl.gz"):
            found.update((stamp, key) for stamp, rows in read_rows(path) for key, _ in rows)
        return found


def kill(study, chance):
    """Start the study and kill it, with its job, in the middle of computing rows."""
    run, before = study.start(), study.kept().total()
    deadline = time.monotonic() + 300
    while (new := study.kept().total() - before) == 0:
        if run.poll() is not None:
            return None
        assert time.monotonic() < deadline, "nothing was kept within the time"
        time.sleep(0.05)
    time.sleep(chance.uniform(0, 1.5))
    if run.poll() is not None:
        return None
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return new


def disturb(study, kills):
    """Kill the study this many times, then let it end; returns how often it could be killed."""
    chance, done = random.Random(7), 0
    while done < kills and kill(study, chance) is not None:
        done += 1
    study.run()
    return done


@pytest.fixture(scope="module")
def undisturbed(root, tmp_path_factory):
    whole = Study(root, tmp_path_factory.mktemp("resume") / "whole")
    whole.run()
    return whole


def test_what_a_killed_study_had_finished_is_not_computed_again(root, undisturbed, tmp_path):
    killed = Study(root, tmp_path / "killed")
    assert disturb(killed, 3) == 3
    assert killed.kept() == undisturbed.kept()
    assert set(killed.kept().values()) == {1}
    assert_same_tables(killed.results, undisturbed.results)


@pytest.mark.study
def test_ten_kills_change_nothing(root, undisturbed, tmp_path):
    killed = Study(root, tmp_path / "killed")
    assert disturb(killed, 10) == 10
    assert killed.kept() == undisturbed.kept()
    assert_same_tables(killed.results, undisturbed.results)


def test_deleted_outputs_are_written_again_from_the_rows(undisturbed):
    before = undisturbed.kept()
    paths = [*undisturbed.results.glob("generations/**/*.parquet")]
    paths += undisturbed.results.glob("searches/**/*.parquet")
    contents = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    undisturbed.run(*(path.relative_to(undisturbed.folder) for path in paths))
    assert {path: path.read_bytes() for path in paths} == contents
    assert undisturbed.kept() == before
