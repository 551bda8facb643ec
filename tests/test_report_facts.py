"""What the report says of models, versions, the machine and the commit."""

import hashlib
import subprocess
from dataclasses import replace

import pytest
from testtime.present.report import facts
from testtime.runtime import hub
from testtime.study.catalog import PolicySpec


def spec(**changes) -> PolicySpec:
    return replace(PolicySpec(name="p", model="org/p", parameters=1e6, context=128), **changes)


def test_a_pinned_hub_model_is_named_by_its_revision():
    assert hub.revision(spec(revision="abc123")) == "abc123"


def test_an_unpinned_hub_model_is_not_passed_off_as_pinned():
    assert hub.revision(spec()) == "newest on the hub at the time (not pinned)"


def test_a_model_trained_by_the_study_says_so():
    assert hub.revision(spec(train={"steps": 3})) == "trained by this study"


def test_local_weights_are_named_by_their_digest(tmp_path):
    assert hub.revision(spec(model=str(tmp_path))) == "local folder"
    (tmp_path / "a.safetensors").write_bytes(b"first")
    (tmp_path / "b.safetensors").write_bytes(b"second")
    digest = hashlib.sha256(b"firstsecond").hexdigest()
    assert hub.revision(spec(model=str(tmp_path))) == f"sha256 {digest[:16]}"


def git(folder, *command: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *command], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_commit_tells_of_changes_on_top_of_it(tmp_path):
    assert facts.commit(tmp_path) == "not a git checkout"
    git(tmp_path, "init", "-q")
    (tmp_path / "f").write_text("one")
    git(tmp_path, "add", "f")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert facts.commit(tmp_path) == head
    (tmp_path / "f").write_text("two")
    assert facts.commit(tmp_path) == f"{head} with uncommitted changes"


def test_versions_hold_only_what_is_installed():
    found = facts.versions()
    assert {"python", "testtime", "numpy"} <= set(found)
    assert all(found.values())


@pytest.mark.parametrize("fact", ["system", "processor", "cores", "memory", "GPUs"])
def test_the_machine_is_described(fact):
    assert facts.hardware()[fact]
