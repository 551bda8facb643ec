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
from testtime.study.catalog import ModelSpec


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


def spec(parameters, **options):
    return ModelSpec("m", parameters, gpus=options.pop("gpus", 1), **options)


def test_a_model_alone_takes_its_whole_gpus():
    for alone in (spec(1e9), spec(7e10, gpus=4), spec(0), spec(4e11, gpus=8, weight_bytes=1)):
        assert gpu_share("policy m", 80, alone, None) == pytest.approx(0.92)


def test_two_models_on_a_gpu_have_as_much_cache_beside_their_weights():
    small, large = spec(1e9), spec(8e9)  # 2 and 16 GB in bfloat16
    shares = gpu_share("m", 80, small, large), gpu_share("m", 80, large, small)
    assert sum(shares) == pytest.approx(0.92)
    assert [80 * share for share in shares] == pytest.approx([2 + 27.8, 16 + 27.8])


def test_weights_have_the_bytes_of_their_precision():
    single, double, eighth = spec(1e9, dtype="float32"), spec(2e9), spec(4e9, weight_bytes=1)
    assert gpu_share("m", 80, single, double) == gpu_share("m", 80, double, eighth)


def test_a_gpu_that_is_too_small_is_told():
    with pytest.raises(
        UserError,
        match=r"PRM m: weights of 36 GB leave no room .* each of 4 GPUs, which have 40 GB",
    ):
        gpu_share("PRM m", 40, spec(7.2e10, gpus=4), None)
    with pytest.raises(
        UserError, match=r"PRM m beside m: weights of 16 GB leave no room .* have 24 GB"
    ):
        gpu_share("PRM m", 24, spec(8e9), spec(3e9))


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
