import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from studies import SMOKE, copy_checkout, snakemake

ROOT = Path(__file__).resolve().parents[1]

# Two cores: one thread per process keeps tests from fighting each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real problems, pools and answer pairs that lie beside the checkout on some machines."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared data beside this checkout")
    return folder


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of four pages."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="session")
def study(root, tmp_path_factory) -> Path:
    """A copy of the checkout in which the smoke study has run on this machine."""
    folder = copy_checkout(root, tmp_path_factory.mktemp("smoke") / "study")
    done = snakemake(folder, "--configfile", SMOKE)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    assert "command not found" not in done.stderr
    # The last line that a user sees.
    assert done.stdout.endswith("Report: results-smoke/report.html\n")
    return folder


@pytest.fixture(scope="session")
def smoke(study) -> dict:
    """The smoke study's config, merged as Snakemake merges it."""
    config = yaml.safe_load((study / "config.yaml").read_text())
    for key, value in yaml.safe_load((study / SMOKE).read_text()).items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    return config
