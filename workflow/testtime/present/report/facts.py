"""Facts about the run: models, versions, the machine, costs, undecided grades."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pandas as pd

from testtime.data.store import read_parquet
from testtime.present.figures.looks import count
from testtime.study.catalog import Catalog
from testtime.study.layout import ROOT, STAGES, Layout, identify
from testtime.study.study import Study

PACKAGES = ("testtime", "snakemake", "torch", "transformers", "vllm", "math-verify", "numpy")
PACKAGES += ("pandas", "pyarrow", "scipy", "scikit-learn", "matplotlib")
COSTS = ["stage", "jobs", "wall_s", "longest_s", "memory_mb"]
UNDECIDED = ["dataset", "policy", "method", "problem_id", "answer", "gold", "reason", "samples"]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on; those installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str]:
    """The machine that this process runs on."""
    facts = {"system": platform.platform(terse=True), "processor": _processor()}
    allowed = getattr(os, "sched_getaffinity", None)  # not on every system
    facts["cores"] = str(len(allowed(0)) if allowed else os.cpu_count())
    facts["memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    gpus = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    facts["GPUs"] = ", ".join(gpus.splitlines()) if gpus else "none"
    return facts


def commit(folder: Path = ROOT) -> str:
    """The checkout's git commit, and whether files differ from it."""
    head = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    if not head:
        return "not a git checkout"
    changed = _output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return f"{head} with uncommitted changes" if changed else head


def models(catalog: Catalog, policies: list[str], prms: list[str]) -> list[dict[str, str]]:
    """One row per model: role, name, model, revision, parameters, precision."""
    from testtime.runtime.hub import revision  # its client is slow to import and warns in notebooks

    specs = [("policy", catalog.policy(name)) for name in policies]
    specs += [("PRM", catalog.prm(name)) for name in prms]
    return [
        {
            "role": role,
            "name": spec.name,
            "model": spec.model,
            "revision": revision(spec),
            "parameters": count(spec.parameters),
            "precision": spec.dtype,
        }
        for role, spec in specs
    ]


def stage_costs(layout: Layout) -> pd.DataFrame:
    """One row per stage in the order of the study, then one for all of them.

    Processor time is left out: Snakemake samples it at most every half minute, so it is far too low
    for short jobs.

    Returns:
        stage, jobs, wall_s (summed over jobs, which may have run side by side), longest_s (the
        longest job), memory_mb (largest resident memory of a job). No rows if nothing was measured.
    """
    jobs = pd.DataFrame(_jobs(Path(layout.folder("benchmark"))), columns=["stage", "s", "memory"])
    if jobs.empty:
        return pd.DataFrame(columns=COSTS)
    stages = sorted(
        jobs["stage"].unique(),
        key=lambda name: (STAGES.index(name) if name in STAGES else len(STAGES), name),
    )
    rows = [_summary(stage, jobs[jobs["stage"] == stage]) for stage in stages]
    return pd.DataFrame([*rows, _summary("all", jobs)], columns=COSTS)


def undecided(study: Study) -> tuple[int, int, pd.DataFrame]:
    """Undecided grades of a study's cells.

    Returns:
        Number of undecided samples, number of all graded samples, and one row per distinct
        (dataset, policy, method, problem, answer), the most frequent first: UNDECIDED.
    """
    total, found = 0, []
    for dataset, policy in study.cells():
        columns = ["method", "problem_id", "answer", "correct", "reason"]
        path = study.layout.path("grades", dataset=dataset, policy=policy)
        grades = read_parquet(path, columns=columns)
        total += len(grades)
        open_ = grades[grades["correct"].isna()]
        if len(open_):
            gold = read_parquet(study.layout.path("answers", dataset=dataset))
            gold = gold.set_index("problem_id")
            open_ = open_.assign(dataset=dataset, policy=policy)
            found.append(open_.assign(gold=open_["problem_id"].map(gold["answer"])))
    if not found:
        return 0, total, pd.DataFrame(columns=UNDECIDED)
    rows = pd.concat(found, ignore_index=True)
    counted = rows.groupby(UNDECIDED[:-1], dropna=False).size().rename("samples").reset_index()
    counted = counted.sort_values(["samples", *UNDECIDED[:-1]], ascending=[False] + [True] * 7)
    return len(rows), total, counted.reset_index(drop=True)


def _jobs(folder: Path) -> list[tuple]:
    found = []
    for path in sorted(folder.rglob("*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        _, names = identify(path)
        for row in table.to_dict("records"):
            found.append((names["stage"], row.get("s"), row.get("max_rss")))
    return found


def _summary(stage: str, jobs: pd.DataFrame) -> tuple:
    seconds = jobs["s"]
    return stage, len(jobs), seconds.sum(), seconds.max(), jobs["memory"].max()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _output(*command: str) -> str:
    """A program's output; empty if it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
