"""vLLM's engine itself: processes, memory, what it refuses, no network."""

import gc
import json
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from testtime.errors import UserError
from testtime.study.types import Request, Sampling
from tiny_policies import WORDS, ids, random_policy, scripted_policy
from vllm_engines import policy, prm, shipped_prm

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_policy(tmp_path_factory.mktemp("llama"))


def resident_mb() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def draw(engine, seeds=(0, 1)) -> list[tuple[int, ...]]:
    engine.submit(Request(ids("a", "b"), tuple(seeds), Sampling(), "end", 20))
    ((_, children),) = engine.poll()
    return [child.token_ids for child in children]


def test_memory_is_given_back_when_the_last_model_is_dropped(folder, tmp_path):
    """Half of memory_gb is for keys and values, 500 MB here; the process group outlives the first.

    Runs in a process of its own, where no other test's engine lives.
    """
    script = f"""
import gc, psutil
from test_vllm_runtime import draw, policy, resident_mb
folder = {str(folder)!r}
first = draw(policy(folder, memory_gb=0.1))
before = resident_mb()
one, other = policy(folder, memory_gb=1), policy(folder, memory_gb=1)
both = resident_mb()
del one
assert draw(other) == first
del other
print(both - before, resident_mb() - before)
assert draw(policy(folder, memory_gb=0.1)) == first
"""
    taken, kept = map(float, run_file(script, tmp_path / "job.py").split())
    assert taken > 900
    assert kept < 100


def test_a_script_without_a_main_guard_may_start_processes(folder, tmp_path):
    """As on GPUs: the engine in processes of its own, steps cut short while it runs on."""
    script = f"""
import psutil
from test_vllm_runtime import policy, Request, Sampling, ids, draw
engine = policy({str(folder)!r}, in_process=False)
assert len(psutil.Process().children(recursive=True)) >= 2
wanted = [Request(ids("a"), tuple(range(30)), Sampling(), "step", 12, k) for k in range(3)]
tickets = [engine.submit(request) for request in wanted[:2]]
done = dict(engine.poll())
tickets.append(engine.submit(wanted[2]))
while len(done) < 3:
    done |= dict(engine.poll())
drawn = [[(c.token_ids, c.finish) for c in done[ticket]] for ticket in tickets]
del engine
living = [p for p in psutil.Process().children(recursive=True) if p.status() != "zombie"]
assert not [p for p in living if "resource_tracker" not in str(p.cmdline())], living
print(drawn)
"""
    apart = run_file(script, tmp_path / "job.py").strip()
    engine = policy(folder)
    wanted = [Request(ids("a"), tuple(range(30)), Sampling(), "step", 12, k) for k in range(3)]
    tickets, done = [engine.submit(request) for request in wanted], {}
    while len(done) < 3:
        done |= dict(engine.poll())
    within = [[(child.token_ids, child.finish) for child in done[t]] for t in tickets]
    assert {finish for family in within for _, finish in family} == {"step", "stop", "length"}
    assert apart == str(within)


def run_file(script: str, path: Path) -> str:
    """The last line that a script prints which can import these tests' modules."""
    path.write_text(f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n{script}")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float8"}, "dtype 'float8' is not known; allowed: float32"),
        ({"prompt": "loud"}, "prompt 'loud' is not known; allowed: plain"),
        ({"separator": ""}, "separator is empty"),
        ({"context": 4096}, "context 4096 is more than its 128 positions"),
        ({"memory_gb": 1e-5}, "vLLM does not start with context 128, gpus 0 and memory_gb 1e-05"),
    ],
)
def test_wrong_options_are_told(folder, options, message):
    with pytest.raises(UserError, match=message):
        policy(folder, **options)


def test_gpus_that_this_build_cannot_use_are_told(folder):
    with pytest.raises(UserError, match="needs 2 GPUs and this vllm is built for the CPU"):
        policy(folder, gpus=2)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        policy(tmp_path / "nowhere")
    with pytest.raises(UserError, match="nowhere"):
        prm(tmp_path / "nowhere", format="rlhflow", context=128)


def test_an_architecture_that_vllm_does_not_know_is_told(tmp_path):
    folder = scripted_policy(tmp_path, {"a": {"b": 1.0}})
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["NoSuchModel"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"vLLM does not start.*NoSuchModel"):
        policy(folder)


def test_every_end_of_text_token_of_the_generation_config_ends_a_text(tmp_path):
    script = {"a": {"b": 1.0}, "b": {"c": 1.0}, "c": {"<end>": 1.0}, "<end>": {"a": 1.0}}
    folder = scripted_policy(tmp_path, script)
    config = {"eos_token_id": [WORDS.index("d"), WORDS.index("c")], "temperature": 0.1}
    (folder / "generation_config.json").write_text(json.dumps(config))
    assert draw(policy(folder), seeds=(0,)) == [ids("c")]
    (folder / "generation_config.json").unlink()
    assert draw(policy(folder), seeds=(0,)) == [ids("c", "<end>")]


def test_local_folders_need_no_network(folder, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    engine = policy(folder)
    assert draw(engine)
    shipped_prm.cache_clear()
    assert shipped_prm("micro-prm-good", "vllm")
