"""One study at several sites that share a storage and nothing else: killed here, finished there."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from needs import require
from object_store import BUCKET, kept, object_store
from small_study import ANALYSIS
from studies import copy_checkout
from testtime.data import places

pytestmark = pytest.mark.study

STUDY = {
    "policies": ["micro-xs"],
    "prms": ["micro-prm-good"],
    "methods": ["cot", "majority", "best_of_n"],
    "problems": {"limit": 40},
    "budgets": {"pool": [4, 64], "search": []},
    "difficulty": {"samples": 16},
    **ANALYSIS,
}
TABLES = ("tables/outcomes.parquet", "tables/accuracy.csv")
SAMPLES = "generations/microcosm/micro-xs/cot/1-of-1.parquet"


class Site:
    """A checkout of its own, whose runs keep their results in a storage."""

    def __init__(self, root: Path, folder: Path, storage: tuple[str, ...] = (), **environment):
        self.folder = copy_checkout(root, folder)
        (self.folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
        self.storage, self.environment = storage, os.environ | environment

    def start(self, *targets: str) -> subprocess.Popen:
        """Begin a run, in a process group of its own."""
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "snakemake", "--cores", "2", *self.storage),
                *("--configfile", "study.yaml", "--", *(f"results/{name}" for name in targets)),
            ],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *targets: str) -> str:
        """Run to the end; returns what Snakemake said."""
        started = self.start(*targets)
        said, _ = started.communicate()
        assert started.returncode == 0, said[-8000:]
        return said

    def kill_while_drawing(self, store: str) -> None:
        """Kill a run of the samples when some rows, but not all, are in the store."""
        rows = self.folder / "workflow/testtime/data/rows.py"
        rows.write_text(rows.read_text().replace("SECONDS = 60", "SECONDS = 0.2"))
        run, deadline = self.start(SAMPLES), time.monotonic() + 300
        while not kept(store):
            assert run.poll() is None, run.communicate()[0][-8000:]
            assert time.monotonic() < deadline, "nothing was kept within the time"
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()


@pytest.fixture(scope="module")
def alone(root, tmp_path_factory) -> dict[str, bytes]:
    """The tables of a run without a storage, and the rows that it keeps."""
    site = Site(root, tmp_path_factory.mktemp("alone") / "checkout")
    site.run(*TABLES)
    results = site.folder / "results"
    return {name: (results / name).read_bytes() for name in TABLES}, kept(str(results / "store"))


@pytest.fixture(params=["s3", "fs"])
def storage(request, tmp_path, monkeypatch) -> str:
    """What the sites share: Snakemake's options, and the storage's prefix."""
    if request.param == "fs":
        require("rsync", None if shutil.which("rsync") else "the fs plugin copies by rsync")
        yield "fs", str(tmp_path / "shared")
        return
    with object_store() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield "s3", f"s3://{BUCKET}/study"


def test_what_one_site_began_another_one_finishes(root, tmp_path, storage, alone):
    provider, prefix = storage
    options = ("--default-storage-provider", provider, "--default-storage-prefix", prefix)
    options += ("--shared-fs-usage", "none")
    first, second = (Site(root, tmp_path / name, options) for name in ("first", "second"))
    results, store = f"{prefix}/results", f"{prefix}/results/store"
    first.kill_while_drawing(store)
    drawn = kept(store)
    tables, rows = alone
    assert 0 < drawn.total() < rows.total()
    assert not places.find(f"{results}/generations", "")
    said = second.run(*TABLES)
    assert f"no lock on {results}" in said
    assert f"Results: {results}" in said
    assert kept(store) == rows  # each once: nothing that was kept is drawn again
    assert {name: places.read(f"{results}/{name}") for name in TABLES} == tables
    third = Site(root, tmp_path / "third", (*options, "--dry-run"))
    assert "Nothing to be done" in third.run(*TABLES)
