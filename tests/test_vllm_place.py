"""Which GPUs and how much memory an engine of vLLM takes; needs neither vllm nor a GPU."""

import multiprocessing
import os
import sys
from collections import Counter

import pytest
from testtime.engines import pretrained
from testtime.engines.pretrained import least_used
from testtime.engines.vllm.place import check_gpus, gpu_share, surroundings
from testtime.errors import UserError


@pytest.mark.parametrize(("gpus", "visible"), [(0, None), (1, 1), (1, 2), (4, 8)])
def test_an_engine_runs_where_its_entry_and_the_build_agree(gpus, visible):
    check_gpus("policy m", gpus, visible)


@pytest.mark.parametrize(
    ("gpus", "visible", "message"),
    [
        (1, None, r"policy m needs 1 GPUs and this vllm is built for the CPU; allowed: gpus: 0"),
        (0, 2, r"policy m has gpus: 0 and this vllm is built for GPUs; allowed: gpus: 1"),
        (4, 2, r"policy m needs 4 GPUs and 2 are visible"),
        (1, 0, r"policy m needs 1 GPUs and 0 are visible"),
    ],
)
def test_what_does_not_fit_the_machine_is_told(gpus, visible, message):
    with pytest.raises(UserError, match=message):
        check_gpus("policy m", gpus, visible)


def test_an_engine_takes_what_its_entry_says_and_leaves_the_rest():
    policy = gpu_share("policy", 1, 24, total_gb=80)
    prm = gpu_share("PRM", 1, 40, total_gb=80)
    assert (policy, prm) == (0.3, 0.5)
    assert gpu_share("policy", 4, 280, total_gb=80) == 280 / 4 / 80
    assert 2 * gpu_share("a folder", 1, None, total_gb=80) < 1


def test_a_gpu_that_is_too_small_is_told():
    with pytest.raises(UserError, match=r"PRM m needs 70 GB on each of 4 GPUs, which have 48 GB"):
        gpu_share("PRM m", 4, 280, total_gb=48)


def test_models_of_one_process_take_different_gpus_while_there_are_any(monkeypatch):
    monkeypatch.setattr(pretrained, "_models", Counter())
    assert [least_used(1, 2), least_used(1, 2), least_used(1, 2)] == [[0], [1], [0]]
    monkeypatch.setattr(pretrained, "_models", Counter())
    assert [least_used(4, 6), least_used(2, 6)] == [[0, 1, 2, 3], [4, 5]]


def test_a_spawned_process_does_not_run_the_main_script_again():
    before = dict(os.environ)
    with surroundings(in_process=False):
        data = multiprocessing.spawn.get_preparation_data("engine")
        assert "init_main_from_path" not in data
        assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "1"
        os.environ["LEFT_BEHIND"] = "1"
    assert dict(os.environ) == before
    assert hasattr(sys.modules["__main__"], "__file__")
