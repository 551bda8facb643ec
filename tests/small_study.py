"""A small study in a folder of its own, run by the checkout's code, and what its store holds."""

import copy
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import yaml
from conftest import ROOT
from testtime.data.decided import cells
from testtime.data.rows import read_rows
from testtime.data.store import read_parquet
from testtime.study.config import read, validate
from testtime.study.study import Study

ANALYSIS = {
    "evaluate": {"subsets": 100, "bootstrap": 100},
    "fit": {"folds": 3, "repeats": 2},
}


class SmallStudy:
    """A folder with a study's config, and its results."""

    def __init__(self, folder: Path, config: dict):
        self.folder, self.results, self.config = folder, folder / "results", config
        self.checkout = ROOT
        folder.mkdir(exist_ok=True)
        self.change({})

    def change(self, changes: dict) -> None:
        """Give the config other values."""
        config = copy.deepcopy(self.config)
        for key, value in changes.items():
            known = config.get(key)
            config[key] = known | value if isinstance(known, dict) else value
        self.file = self.folder / "study.yaml"
        self.file.write_text(yaml.safe_dump(config))

    def copied(self, folder: Path) -> "SmallStudy":
        """The same study and its results, with Snakemake's records, in another folder."""
        shutil.copytree(self.folder, folder)
        return SmallStudy(folder, self.config)

    def command(self, *arguments: str) -> list[str]:
        """Snakemake's command line."""
        configs = [str(self.checkout / "config.yaml"), str(self.file)]
        return [
            *(sys.executable, "-m", "snakemake", "--cores", "2", *map(str, arguments)),
            *("--snakefile", str(self.checkout / "Snakefile"), "--configfile", *configs),
            *("--directory", str(self.folder)),
        ]

    def run(self, *targets: str) -> str:
        """Run it to its end; returns what Snakemake said."""
        done = self.try_run(*targets)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
        return done.stdout + done.stderr

    def try_run(self, *targets: str) -> subprocess.CompletedProcess:
        """Run it, whether or not it fails."""
        return subprocess.run(self.command(*targets), capture_output=True, text=True, check=False)

    def run_models(self) -> str:
        """Make everything that a model makes."""
        return self.run(*self.files())

    def kill(self, after: float = 0.0) -> int | None:
        """Start it, and kill it with its job some seconds after that has kept rows.

        Returns:
            How many rows were kept until then; None if it had nothing more to compute.
        """
        output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        before, deadline = self.kept().total(), time.monotonic() + 300
        run = subprocess.Popen(self.command(), start_new_session=True, **output)
        while (new := self.kept().total() - before) == 0:
            if run.poll() is not None:
                return None
            assert time.monotonic() < deadline, "nothing was kept within the time"
            time.sleep(0.05)
        time.sleep(after)
        if run.poll() is not None:
            return None
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        return new

    def files(self, stage: str | None = None) -> list[str]:
        """The files that models make, from the study's folder; of one stage, or of all."""
        config = read(ROOT / "config.yaml", self.file)
        study = Study(config, validate(config))
        own = [cell for cell in cells(study) if stage in (None, cell.stage)]
        return [path for cell in own for path in study.files_of(cell.stage, **cell.names)]

    def contents(self) -> dict[str, bytes]:
        """The bytes of those files."""
        return {path: (self.folder / path).read_bytes() for path in self.files()}

    def rows(self, stage: str) -> Counter:
        """The rows of the files of a stage, each with the names in its path that tell it apart."""
        found: Counter = Counter()
        for name in self.files(stage):
            rows = read_parquet(self.folder / name)
            text = rows.to_json(orient="records", lines=True, double_precision=15)
            place = re.sub(r"(/\d+-\d+)?/\d+-of-\d+\.parquet", "", name)  # nested block, shard
            found.update((place, line) for line in text.splitlines())
        return found

    def kept(self, stage: str = "*") -> Counter:
        """How often each row was computed, by cell, stamp and key."""
        found: Counter = Counter()
        for path in self.results.glob(f"store/{stage}/**/*.jsonl.gz"):
            cell = str(path.parent.relative_to(self.results))
            found.update((cell, stamp, key) for stamp, rows in read_rows(path) for key, _ in rows)
        return found
