"""What was run: models and their revisions, versions, the machine, the commit."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from testtime.present.figures.looks import count
from testtime.study.catalog import ROOT, Catalog

PACKAGES = ("testtime", "snakemake", "torch", "transformers", "vllm", "math-verify", "numpy")
PACKAGES += ("pandas", "pyarrow", "scipy", "scikit-learn", "matplotlib", "seaborn")


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


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _output(*command: str) -> str:
    """What a program prints; empty where it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
