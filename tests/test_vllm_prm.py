"""PRMs on vLLM: the scores of the transformers engine, by next token and by pooling."""

import random
import shutil
from itertools import pairwise

import prm_references
import pytest
import tiny_prms
import torch
from safetensors.torch import load_file, save_file
from testtime import prms
from testtime.data.microcosm import compute, generate_problems, write
from testtime.engines.base import score
from testtime.engines.transformers.prm import TransformersPrm
from testtime.study.types import ScoreRequest
from transformers import AutoTokenizer
from vllm_engines import forget, prm, shipped_prm

pytestmark = pytest.mark.vllm

SHIPPED = ["micro-prm-good", "micro-prm-weak"]  # a two-class head, and a language model's
FORMATS = ["math-shepherd", "rlhflow", "qwen2.5-math-prm"]
CONTEXT = 512


@pytest.fixture(scope="module")
def whole():
    """Right and wrong solutions."""
    requests = []
    for row in generate_problems("fresh", 40, 4):
        steps = write(row["problem"], random.Random(0), compute)
        wrong = [*steps[:-2], f"{steps[-2][:-1]}{(int(steps[-2][-1]) + 3) % 10}", steps[-1]]
        requests += [ScoreRequest(row["problem"], tuple(s)) for s in (steps, wrong, steps[:1])]
    return requests


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A random PRM of each format; one head, as vLLM's CPU build takes none narrower than 32."""
    sizes = tiny_prms.SIZES | {"num_attention_heads": 1, "num_key_value_heads": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_prms, "SIZES", sizes)
        folder = tmp_path_factory.mktemp("tiny")
        return {format: tiny_prms.build(format, folder / format) for format in tiny_prms.FORMATS}


def steps_one_by_one(request):
    """The requests of a search that extends a path step by step."""
    steps = request.steps
    return [ScoreRequest(request.problem, steps[: k + 1], known=k) for k in range(len(steps))]


@pytest.mark.parametrize("name", SHIPPED)
def test_scores_are_those_of_the_transformers_engine(whole, name):
    both = [score(shipped_prm(name, engine), whole) for engine in ("vllm", "transformers")]
    for mine, other in zip(*both, strict=True):
        assert mine.scores == pytest.approx(other.scores, abs=1e-3)
        assert mine.tokens == other.tokens
    spread = [value for scored in both[0] for value in scored.scores]
    assert max(spread) - min(spread) > 0.5  # so that agreement means something


def test_scores_of_bfloat16_weights_are_not_rounded_to_their_grid(tiny, whole, tmp_path):
    """Large logits that differ a little: as many different scores as under transformers."""
    folder = tmp_path / "large"
    shutil.copytree(tiny["math-shepherd"], folder)
    tensors = load_file(folder / "model.safetensors")
    head = tensors["lm_head.weight"]
    right, wrong = prms.get("math-shepherd").reader(AutoTokenizer.from_pretrained(folder)).classes
    torch.manual_seed(0)
    head[right] = 8 * torch.randn_like(head[0])
    head[wrong] = head[right] + 0.2 * torch.randn_like(head[0])
    save_file(
        {name: values.bfloat16() for name, values in tensors.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    entry = {"format": "math-shepherd", "context": CONTEXT, "dtype": "bfloat16"}
    kinds, means = [], []
    for engine in ("vllm", "transformers"):
        values = [x for scored in score(prm(folder, engine, **entry), whole) for x in scored.scores]
        kinds.append(len(set(values)))
        means.append(sum(values) / len(values))
    assert kinds[0] > 0.9 * kinds[1]
    assert means[0] == pytest.approx(means[1], abs=0.01)  # the layers are still in bfloat16


@pytest.mark.parametrize("format", FORMATS)
def test_random_models_of_the_published_forms_score_as_their_cards_say(tiny, format):
    model = prm(tiny[format], format=format, context=CONTEXT)
    found = score(model, [ScoreRequest(p, tuple(steps)) for p, steps in tiny_prms.TEXTS])
    for (problem, steps), scored in zip(tiny_prms.TEXTS, found, strict=True):
        expected = prm_references.reference_scores(format, tiny[format], problem, steps)
        assert scored.scores == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_path_scored_step_by_step_scores_as_read_whole(whole, name):
    model = shipped_prm(name, "vllm")
    for request, expected in zip(whole[:9], score(model, whole[:9]), strict=True):
        found = [score(model, [part])[0].scores for part in steps_one_by_one(request)]
        assert [len(scores) for scores in found] == [1] * len(request.steps)
        assert [scores[0] for scores in found] == pytest.approx(expected.scores, abs=1e-4)


def lengths(model, requests):
    return [len(model.reader.encode(r.problem, r.steps).token_ids) for r in requests]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_new_steps_of_a_path_are_counted_as_under_transformers(whole, name):
    model, other = shipped_prm(name, "vllm"), shipped_prm(name, "transformers")
    parts = steps_one_by_one(whole[0])
    total = lengths(model, parts)
    counted = [score(model, [part])[0].tokens for part in parts]
    assert counted == [total[0], *(b - a for a, b in pairwise(total))]
    assert counted == [score(other, [part])[0].tokens for part in parts]


@pytest.mark.parametrize("name", SHIPPED)
def test_cached_blocks_are_read_no_second_time(whole, monkeypatch, name):
    model = shipped_prm(name, "vllm")
    step, cached = model.runtime._engine.step, []

    def watched():
        outputs = step()
        cached.extend(output.num_cached_tokens for output in outputs)
        return outputs

    monkeypatch.setattr(model.runtime._engine, "step", watched)
    forget(model)
    parts = steps_one_by_one(max(whole, key=lambda request: len(request.steps)))
    score(model, parts[:-1])
    cached.clear()
    score(model, parts[-1:])
    block = 32
    assert cached == [lengths(model, parts[-2:-1])[0] // block * block]
    assert cached[0] > 0


@pytest.mark.parametrize("remembered", [1 << 17, 0])
def test_steps_in_cached_blocks_keep_their_scores(whole, monkeypatch, remembered):
    """A two-class model says nothing of cached tokens: remembered, or else read again."""
    monkeypatch.setattr("testtime.engines.vllm.prm.REMEMBERED", remembered)
    model = shipped_prm("micro-prm-good", "vllm")
    forget(model)
    model._remembered.clear()
    path = max(whole, key=lambda request: len(request.steps))
    shorter = ScoreRequest(path.problem, path.steps[:-1])
    first, again, longer = (score(model, [r])[0].scores for r in (shorter, shorter, path))
    assert again == pytest.approx(first, abs=1e-6)
    assert longer[:-1] == pytest.approx(first, abs=1e-5)
    assert len(longer) == len(path.steps)


@pytest.mark.parametrize("name", SHIPPED)
def test_equal_texts_are_read_once_and_nothing_new_is_nothing_read(whole, name):
    model, request = shipped_prm(name, "vllm"), whole[0]
    known = ScoreRequest(request.problem, request.steps, known=len(request.steps))
    first, second, nothing, empty = score(
        model, [request, request, known, ScoreRequest("1 + 2", ())]
    )
    assert first.scores == second.scores
    assert (first.tokens, second.tokens) == (lengths(model, [request])[0], 0)
    assert [(result.scores, result.tokens) for result in (nothing, empty)] == [((), 0)] * 2
    assert score(model, []) == []


@pytest.mark.parametrize("format", FORMATS)
def test_steps_that_end_within_the_context_are_scored_and_no_others(tiny, format):
    problem, steps = tiny_prms.TEXTS[4]
    expected = prm_references.reference_scores(format, tiny[format], problem, steps)
    request = ScoreRequest(problem, tuple(steps))
    ends = prm(tiny[format], "transformers", format=format, context=CONTEXT).reader.encode(
        problem, steps
    )
    model = prm(tiny[format], format=format, context=ends.positions[4] + 1)
    scored = score(model, [request])[0]
    assert scored.scores == pytest.approx(expected[:5], abs=1e-3)
    assert scored.tokens == ends.positions[4] + 1
    none_fits = ScoreRequest("x" * CONTEXT, ("y",))
    assert [(s.scores, s.tokens) for s in score(model, [none_fits])] == [((), 0)]


@pytest.mark.parametrize("format", FORMATS)
def test_a_prm_reads_past_its_positions_where_its_entry_says_so(tiny, tmp_path, format):
    problem, steps = tiny_prms.TEXTS[4]
    short = tiny_prms.with_positions(tiny[format], tmp_path / "short", 64)
    model = prm(short, format=format, context=CONTEXT, trained_context=64)
    [scored] = score(model, [ScoreRequest(problem, tuple(steps))])
    expected = prm_references.reference_scores(format, tiny[format], problem, steps)
    assert scored.scores == pytest.approx(expected, abs=1e-3)
    assert scored.length == model.reader.encode(problem, steps).positions[-1] + 1 > 64


def test_a_value_head_runs_on_transformers(tiny):
    texts = [ScoreRequest(p, tuple(steps)) for p, steps in tiny_prms.TEXTS]
    options = {"format": "skywork", "context": CONTEXT}
    model = prm(tiny["skywork"], **options)
    assert isinstance(model, TransformersPrm)
    assert score(model, texts) == score(prm(tiny["skywork"], "transformers", **options), texts)
