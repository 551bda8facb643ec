"""Rates: what GPUs can do by their makers' figures, and what logs have measured."""

import json
from dataclasses import replace

import pytest
import yaml
from fakes import FakePolicy, random_tree
from testtime.cli import app
from testtime.cli.rates import measured_entries
from testtime.engines.base import sample
from testtime.engines.load import Measured
from testtime.errors import UserError
from testtime.study import rates
from testtime.study.catalog import load
from testtime.study.config import read, validate
from testtime.study.study import Study
from testtime.study.types import Request, Sampling
from typer.testing import CliRunner

KNOWN = load()
H100 = KNOWN.gpu("h100")
ON_GPUS = [s for s in (*KNOWN.policies.values(), *KNOWN.prms.values()) if s.gpus]


@pytest.mark.parametrize("spec", ON_GPUS, ids=lambda spec: spec.name)
def test_no_model_is_planned_at_more_than_its_share_of_the_peak(spec):
    rate = rates.reading(spec, H100)
    assert rate * 2 * spec.parameters <= 0.5001 * 989e12 * spec.gpus
    if spec.name in KNOWN.policies:
        drawn = rates.drawing(spec, H100, "vllm")
        assert 0 < drawn < rate
        # A step moves at least the weights, and no more than 1,024 sequences gain by it.
        weights = spec.parameters * (spec.weight_bytes or 2)
        assert drawn <= 1024 * 0.6001 * 3350e9 * spec.gpus / weights


def test_drawing_moves_the_weights_and_the_caches_of_all_sequences():
    spec = KNOWN.policy("llama-3.2-1b-instruct")  # 16 layers, 8 heads of 64: 32,768 bytes a token
    assert spec.kv_bytes == 2 * 16 * 8 * 64 * 2
    kept = 32768 * (200 + 500 / 2)  # of a sequence, the prompt and half of its 500 tokens
    cache = 0.92 * 80e9 - 2 * 1.24e9
    assert cache / kept > 1024  # so as many run as vLLM takes
    step = (2 * 1.24e9 + 1024 * kept) / (0.6 * 3350e9) + 0.004 + 1024e-5
    assert rates.drawing(spec, H100, "vllm") == pytest.approx(1024 / step)


def test_a_long_thought_fills_the_cache_before_the_batch():
    spec = replace(KNOWN.policy("llama-3.1-8b-instruct"), typical_tokens=16_000)
    kept = 131072 * (200 + 16_000 / 2)
    rows = (0.92 * 80e9 - 2 * 8.03e9) / kept
    step = (2 * 8.03e9 + rows * kept) / (0.6 * 3350e9) + 0.004 + rows * 1e-5
    assert rows < 60
    assert rates.drawing(spec, H100, "vllm") == pytest.approx(rows / step)


def test_a_policy_beside_a_prm_has_half_of_the_cache():
    spec, prm = KNOWN.policy("qwen2.5-14b-instruct"), KNOWN.prm("qwen2.5-math-prm-7b")
    assert rates.drawing(spec, H100, "vllm", prm) < rates.drawing(spec, H100, "vllm")


def test_the_studys_kind_of_gpu_counts(root, monkeypatch):
    monkeypatch.chdir(root)
    config = read("workflow/studies/one-gpu.yaml")
    fast = Study(config, validate(config))
    config = config | {"jobs": config["jobs"] | {"gpu": "a100"}}
    slow = Study(config, validate(config))
    for name in config["policies"]:
        spec = fast.catalog.policy(name)
        assert fast.rate(spec) > 1.1 * slow.rate(spec)


def test_a_measured_rate_goes_before_all_else():
    spec = replace(KNOWN.policy("qwen2.5-7b-instruct"), rate=123.0)
    assert rates.drawing(spec, H100, "vllm") == 123.0


def test_a_model_tells_the_tokens_that_it_drew(capsys):
    model = Measured(KNOWN.policy("micro-s"), lambda: FakePolicy(random_tree(1)))
    model.report()
    assert capsys.readouterr().out == ""  # it did not run
    prompt = tuple(model.encode("1 + 1"))
    requests = [
        Request(prompt, (1, 2), Sampling(), "end", 20),
        Request(prompt, (3,), Sampling(), "end", 20),
    ]
    drawn = sum(len(c.token_ids) for _, children in sample(model, requests) for c in children)
    model.report()
    told = json.loads(capsys.readouterr().out.removeprefix(rates.MEASURED))
    assert (told["kind"], told["name"], told["tokens"]) == ("policies", "micro-s", drawn)
    assert told["seconds"] >= 0


def _line(kind, name, tokens, seconds, start):
    told = {"kind": kind, "name": name, "tokens": tokens, "seconds": seconds}
    return f"{rates.MEASURED}{json.dumps(told | {'start_seconds': start})}\n"


@pytest.fixture
def logs(tmp_path):
    """Results of two draws, and of a search with a PRM that never read alone."""
    folder = tmp_path / "results" / "logs"
    for name, text in {
        "generate/a": _line("policies", "micro-s", 1000, 2.0, 3.0),
        "generate/b": "loading\n" + _line("policies", "micro-s", 500, 1.0, 5.0),
        "search/c": _line("policies", "micro-s", 9, 9.0, 7.0)
        + _line("prms", "micro-prm-good", 300, 3.0, 1.0),
    }.items():
        path = folder / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder.parent


def test_logs_tell_rates_and_models_alone_before_others(logs):
    assert measured_entries(logs) == {
        "policies": {"micro-s": {"rate": 500.0, "start_seconds": 5.0}},
        "prms": {"micro-prm-good": {"rate": 100.0, "start_seconds": 1.0}},
    }
    with pytest.raises(UserError, match="no job there has measured a model"):
        measured_entries(logs.parent / "elsewhere")


def test_plan_takes_measured_rates_and_prints_them_for_a_config(logs, root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump({"policies": ["micro-s"], "prms": ["micro-prm-good"]}))
    done = CliRunner().invoke(app, ["plan", str(study), "--rates-from", str(logs)])
    assert done.exit_code == 0, done.stderr
    printed = yaml.safe_load(
        done.stdout[done.stdout.index("catalog:") : done.stdout.index("about")]
    )
    assert printed["catalog"] == measured_entries(logs)
    hours = next(
        line.split()[2] for line in done.stdout.splitlines() if line.startswith("generate")
    )
    tokens = 200 * (1 + 256 + 64) * 50  # problems, samples, typical tokens
    assert float(hours) == pytest.approx((tokens / 500 + 4 + 5) / 3600, abs=0.006)
