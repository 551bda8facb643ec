"""Whole studies run in a copy of the checkout, as a user runs them."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

SMOKE = "workflow/studies/smoke.yaml"
DATA = {".parquet", ".csv", ".json", ".png", ".safetensors"}
COPIED = ("Snakefile", "config.yaml", "workflow", "profiles", "slurm", "notebooks", "envs")
COPIED += ("pyproject.toml",)


def copy_checkout(root: Path, folder: Path) -> Path:
    """Copy what a run needs, without results."""
    folder.mkdir(parents=True)
    for name in COPIED:
        source = root / name
        if source.is_symlink():
            (folder / name).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake on this machine to its end."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def outputs(results: Path) -> list[Path]:
    """The data files of a study that stand in their place."""
    paths = [path for path in results.rglob("*.*") if path.suffix in DATA]
    return [p for p in paths if not any(part.startswith(".") for part in p.parts)]


def assert_same_tables(one: Path, other: Path, *, in_other_batches: bool = False) -> None:
    """The tables and the lookup of two results folders are equal byte for byte.

    Args:
        one: results folder.
        other: another one.
        in_other_batches: models of the two worked in other batches, so that scores were rounded
            otherwise: the lookup's coefficients, which follow them smoothly, may differ a little.
    """
    names = sorted(path.relative_to(one) for path in one.glob("tables/*"))
    assert len(names) > 5
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    lookups = [(folder / "lookup.json").read_text() for folder in (one, other)]
    if in_other_batches:
        found, expected = (dict(_leaves(json.loads(text))) for text in lookups)
        assert found == pytest.approx(expected, abs=1e-6)
    else:
        assert lookups[0] == lookups[1]


def _leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """The values in nested lists and mappings, by their place."""
    if not isinstance(value, dict | list):
        yield place, value
        return
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(part, f"{place}/{key}")


def planned(folder: Path, *overlays: dict, arguments: tuple[str, ...] = ()) -> Counter:
    """Jobs per rule that the smoke study with these changes would run."""
    files = [SMOKE]
    for number, overlay in enumerate(overlays):
        files.append(f"overlay-{number}.yaml")
        (folder / files[-1]).write_text(yaml.safe_dump(overlay))
    done = snakemake(folder, "-n", "--quiet", "reason", *arguments, "--configfile", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    return Counter({rule: int(count) for rule, count in jobs if rule not in {"total", "all"}})
