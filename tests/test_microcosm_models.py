"""The shipped models: whole, small, with cards, and read by the formats that the catalog names."""

import json
import random
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from microcosm.sampler import sample
from microcosm.tokenizer import POLICY_TOKENS, PRM_TOKENS
from safetensors import safe_open
from testtime.data.microcosm import compute, generate_problems, write
from testtime.prms import get
from transformers import AutoModelForCausalLM, AutoTokenizer

MODELS = Path(__file__).parents[1] / "workflow" / "resources" / "microcosm"
POLICIES = ["micro-xs", "micro-s", "micro-m", "micro-l", "micro-xl"]
PRMS = {"micro-prm-good": "qwen2.5-math-prm", "micro-prm-weak": "math-shepherd"}


def size(name):
    with safe_open(MODELS / name / "model.safetensors", "pt") as weights:
        keys = list(weights.keys())
        stored = {weights.get_slice(k).get_dtype() for k in keys}
        assert stored == {"BF16" if name == "micro-xl" else "F32"}
        return sum(weights.get_tensor(k).numel() for k in keys)


def test_all_models_together_are_a_few_megabytes():
    files = [p for p in MODELS.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 16e6


@pytest.mark.parametrize("name", [*POLICIES, *PRMS])
def test_cards_say_what_a_model_is_and_how_it_is_rebuilt(name):
    card = (MODELS / name / "README.md").read_text()
    assert f"# {name}" in card
    assert f"{size(name):,}" in card
    assert f"RESULTS/models/{name}" in card
    assert "fresh" in card


def test_policies_grow_from_small_to_large():
    sizes = [size(name) for name in POLICIES]
    assert all(2 * small < large for small, large in pairwise(sizes))


@pytest.mark.parametrize("name", POLICIES)
def test_policies_load_and_write_solutions(name):
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(MODELS / name)
    tokenizer = AutoTokenizer.from_pretrained(MODELS / name)
    assert model.generation_config.eos_token_id == POLICY_TOKENS.index("<end>")
    rows = generate_problems("fresh", 14, 11)
    drawn = sample(model, tokenizer, [r["problem"] for r in rows], n=1, temperature=0, seed=0)
    ended = [ids[-1] == tokenizer.eos_token_id for (ids,) in drawn]
    boxed = ["\\boxed{" in tokenizer.decode(ids) for (ids,) in drawn]
    assert sum(ended) >= 13
    assert sum(boxed) >= 13


@pytest.mark.parametrize(("name", "form"), PRMS.items())
def test_prms_are_read_by_their_format_without_unknown_tokens(name, form):
    reader = get(form).reader(AutoTokenizer.from_pretrained(MODELS / name))
    for row in generate_problems("fresh", 30, 12):
        encoded = reader.encode(row["problem"], write(row["problem"], random.Random(0), compute))
        assert len(encoded.positions) == row["level"] + 1
        assert PRM_TOKENS.index("<unk>") not in encoded.token_ids
        assert {encoded.token_ids[p] for p in encoded.positions} == {reader.tag}


def test_the_good_prm_has_the_published_form():
    config = json.loads((MODELS / "micro-prm-good" / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForProcessRewardModel"]
    assert config["model_type"] == "qwen2"


@pytest.mark.parametrize(("name", "form"), PRMS.items())
def test_prms_score_right_steps_above_wrong_ones(name, form):
    fmt = get(form)
    reader = fmt.reader(AutoTokenizer.from_pretrained(MODELS / name))
    model = fmt.model_class().from_pretrained(MODELS / name).eval()
    read_out = fmt.head(model, reader)
    right, wrong = [], []
    with torch.inference_mode():
        for row in generate_problems("fresh", 60, 13):
            steps = write(row["problem"], random.Random(0), compute)
            bad = [*steps[:-2], f"{steps[-2][:-1]}{(int(steps[-2][-1]) + 3) % 10}"]
            for texts, scores in ((steps[:-1], right), (bad, wrong)):
                encoded = reader.encode(row["problem"], texts)
                inner = model.model(input_ids=torch.tensor([encoded.token_ids]))
                hidden = inner.last_hidden_state[0, encoded.positions]
                scores.append(float(read_out(hidden)[-1]))
    assert sum(right) / len(right) > sum(wrong) / len(wrong) + 0.1
