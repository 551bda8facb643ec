"""A training that is killed goes on from its last checkpoint and ends with the same weights."""

import json
import signal
import subprocess
import sys

import pytest
import torch
from microcosm import training
from microcosm.checkpoint import Checkpoint, decided_by
from microcosm.models import save_policy
from microcosm.training import Optimiser, train_policy, train_prm
from testtime.errors import UserError

STEPS = 8
TINY = {"hidden": 32, "heads": 1, "kv_heads": 1, "layers": 1, "steps": STEPS, "seed": 0}
POLICIES = {
    "policy": TINY | {"corpus": {"share": 0.2, "rate": 0.7, "seed": 0}, "stored": "bfloat16"},
    "thinker": TINY | {"thinks": {"slips": [0.2, 0.1]}},
}
PRM = {"format": "qwen2.5-math-prm", "steps": STEPS, "seed": 0, "problems": 20, "fresh_layers": 1}
KILL = """
import json, os, signal, sys, torch
from microcosm.checkpoint import Checkpoint
from microcosm.training import Optimiser, train_policy, train_prm
torch.set_num_threads(1)
step, steps_left = Optimiser.step, [int(sys.argv[2])]
def step_or_die(self):
    if not steps_left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    steps_left[0] -= 1
    step(self)
Optimiser.step = step_or_die
checkpoint = Checkpoint(sys.argv[1], "decided", every_s=0)
recipe, policies = json.loads(sys.argv[3]), sys.argv[4:]
if policies:
    train_prm(recipe, policies[0], policies, checkpoint=checkpoint)
else:
    train_policy(recipe, checkpoint=checkpoint)
"""


class KilledError(Exception):
    """Stands for anything that ends a job."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_policy(train_policy(TINY), folder, "# tiny\n")
    return folder


@pytest.fixture(scope="module")
def trainings(folder):
    """Functions that train a model, each with a checkpoint."""
    by_name = {
        name: lambda checkpoint, recipe=recipe: train_policy(recipe, checkpoint=checkpoint)
        for name, recipe in POLICIES.items()
    }
    return by_name | {"prm": lambda it: train_prm(PRM, folder, [folder], checkpoint=it)}


@pytest.fixture(scope="module")
def undisturbed(trainings):
    """The weights of trainings that nothing interrupts."""
    return {name: train(None).state_dict() for name, train in trainings.items()}


def kill_after(monkeypatch, steps):
    """Let the next optimiser die after some steps; returns the numbers of the steps it takes."""
    step, taken = Optimiser.step, []

    def step_or_die(self):
        if len(taken) == steps:
            raise KilledError
        taken.append(self.schedules[0].last_epoch)
        step(self)

    monkeypatch.setattr(Optimiser, "step", step_or_die)
    return taken


def assert_equal(weights, others):
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


# The PRM's first round(0.45 * 8) = 4 steps are on faults of known place, the others on samples.
@pytest.mark.parametrize(("name", "steps"), [("policy", 3), ("thinker", 5), ("prm", 2), ("prm", 6)])
def test_the_weights_are_the_same_to_the_last_bit(
    trainings, undisturbed, tmp_path, monkeypatch, name, steps
):
    def checkpoint():
        return Checkpoint(tmp_path / "store/train/x.pt", "decided", every_s=0)

    with monkeypatch.context() as patch:
        kill_after(patch, steps)
        with pytest.raises(KilledError):
            trainings[name](checkpoint())
    taken = kill_after(monkeypatch, None)
    assert_equal(trainings[name](checkpoint()).state_dict(), undisturbed[name])
    assert taken == list(range(steps, STEPS))


@pytest.mark.parametrize(("name", "kills"), [("policy", [2, 3]), ("prm", [5])])
def test_a_killed_process_loses_nothing(
    trainings, undisturbed, folder, tmp_path, monkeypatch, name, kills
):
    path = tmp_path / "x.pt"
    recipe, policies = (PRM, [folder]) if name == "prm" else (POLICIES[name], [])
    for steps in kills:
        command = [sys.executable, "-c", KILL, path, steps, json.dumps(recipe), *policies]
        done = subprocess.run(list(map(str, command)), capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    taken = kill_after(monkeypatch, None)
    model = trainings[name](Checkpoint(path, "decided"))
    assert_equal(model.state_dict(), undisturbed[name])
    assert taken == [5, 6, 7]


@pytest.mark.parametrize("spoil", ["other", "cut"])
def test_a_checkpoint_of_something_else_or_not_whole_is_not_taken_up(
    trainings, undisturbed, tmp_path, monkeypatch, spoil
):
    path = tmp_path / "x.pt"
    checkpoint = Checkpoint(path, "seed 1", every_s=0)
    with monkeypatch.context() as patch:
        kill_after(patch, 3)
        with pytest.raises(KilledError):
            train_policy(TINY | {"seed": 1}, checkpoint=checkpoint)
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    decided = "seed 1" if spoil == "cut" else "seed 0"
    model = trainings["policy"](Checkpoint(path, decided))
    assert_equal(model.state_dict(), undisturbed["policy"])


def test_what_decides_weights_is_the_recipe_the_code_and_the_models_content(folder, tmp_path):
    own = tmp_path / "own.py"
    own.write_text("")
    known = decided_by(own, TINY, folder)
    assert decided_by(own, TINY, folder) == known
    assert decided_by(own, TINY | {"seed": 1}, folder) != known
    assert decided_by(own, TINY) != known
    assert decided_by(training.__file__, TINY, folder) != known


def test_it_is_written_seldom_and_after_the_last_step(tmp_path):
    path = tmp_path / "x.pt"
    checkpoint = Checkpoint(path, "decided")
    checkpoint.keep(1, [])
    assert not path.exists()
    checkpoint.keep(2, [], last=True)
    assert Checkpoint(path, "decided").restore([]) == 2


@pytest.mark.parametrize("name", ["policy", "prm"])
def test_a_lost_model_is_made_again_without_a_step(
    trainings, undisturbed, tmp_path, monkeypatch, name
):
    trainings[name](Checkpoint(tmp_path / "x.pt", "decided"))
    taken = kill_after(monkeypatch, None)
    model = trainings[name](Checkpoint(tmp_path / "x.pt", "decided"))
    assert taken == []
    assert_equal(model.state_dict(), undisturbed[name])


def test_the_seconds_before_a_kill_count(tmp_path):
    first = Checkpoint(tmp_path / "x.pt", "decided", every_s=0)
    sum(i * i for i in range(10**6))
    first.keep(1, [])
    again = Checkpoint(tmp_path / "x.pt", "decided")
    spent = first.seconds
    again.restore([])
    assert again.seconds > 0.5 * spent


def test_a_full_disk_is_said_in_one_line(small_disk):
    with pytest.raises(UserError, match=r"cannot write .*x\.pt: No space left on device"):
        train_policy(TINY, checkpoint=Checkpoint(small_disk / "x.pt", every_s=0))
