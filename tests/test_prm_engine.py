"""PRMs on transformers: batches, what is kept between steps, and how tokens are counted."""

import json
from itertools import pairwise

import prm_references
import pytest
import tiny_prms
import torch
from testtime.engines.base import score
from testtime.errors import UserError
from testtime.study.types import ScoreRequest
from tiny_prms import load
from transformers import (
    LlamaModel,
    MistralConfig,
    MistralForCausalLM,
    MistralModel,
    Qwen2Model,
)


@pytest.fixture(scope="module", params=tiny_prms.FORMATS)
def format(request):
    return request.param


@pytest.fixture(scope="module")
def folder(format, tmp_path_factory):
    return tiny_prms.build(format, tmp_path_factory.getbasetemp() / format)


def whole(problem, steps):
    return ScoreRequest(problem, tuple(steps))


def grown(problem, steps):
    """The requests of a search that extends a path step by step."""
    return [ScoreRequest(problem, tuple(steps[:k]), known=k - 1) for k in range(1, len(steps) + 1)]


ALL = [whole(problem, steps) for problem, steps in tiny_prms.TEXTS]


@pytest.fixture(scope="module")
def reference(format, folder):
    return [
        prm_references.reference_scores(format, folder, problem, steps)
        for problem, steps in tiny_prms.TEXTS
    ]


def fed(monkeypatch, most_rows=None, error=None):
    """Shapes (rows, tokens) of what models are fed from here on; more rows raise the error."""
    shapes = []
    for model in (MistralModel, LlamaModel, Qwen2Model):

        def noted(self, input_ids, forward=model.forward, **options):
            shapes.append(tuple(input_ids.shape))
            if most_rows is not None and len(input_ids) > most_rows:
                raise error
            return forward(self, input_ids=input_ids, **options)

        monkeypatch.setattr(model, "forward", noted)
    return shapes


def lengths(prm, requests):
    """Tokens of each request's whole text, counted one text at a time."""
    return [len(prm.reader.encode(r.problem, r.steps).token_ids) for r in requests]


@pytest.mark.parametrize("tokens", [1, 150, 10_000])
def test_scores_do_not_depend_on_the_batch(format, folder, reference, tokens):
    prm = load(format, folder, max_tokens_per_batch=tokens)
    found = score(prm, ALL)
    for scored, expected in zip(found, reference, strict=True):
        assert scored.scores == pytest.approx(expected, abs=1e-5)
    spread = [score for scores in reference for score in scores]
    assert max(spread) - min(spread) > 0.1  # so that agreement means something


def test_a_path_scored_step_by_step_scores_as_read_whole(format, folder, reference):
    prm = load(format, folder)
    for (problem, steps), expected in zip(tiny_prms.TEXTS, reference, strict=True):
        found = [score(prm, [request])[0].scores for request in grown(problem, steps)]
        assert [len(scores) for scores in found] == [1] * len(steps)
        assert [scores[0] for scores in found] == pytest.approx(expected, abs=1e-5)


def test_paths_of_different_lengths_go_on_together(format, folder, reference):
    prm = load(format, folder)
    found = [[] for _ in tiny_prms.TEXTS]
    for k in range(max(len(steps) for _, steps in tiny_prms.TEXTS)):
        under_way = [i for i, (_, steps) in enumerate(tiny_prms.TEXTS) if k < len(steps)]
        requests = [grown(*tiny_prms.TEXTS[i])[k] for i in under_way]
        for i, scored in zip(under_way, score(prm, requests), strict=True):
            found[i] += scored.scores
    for scores, expected in zip(found, reference, strict=True):
        assert scores == pytest.approx(expected, abs=1e-5)


def test_only_the_new_tokens_of_a_known_path_are_read(format, folder, monkeypatch):
    prm, shapes = load(format, folder), fed(monkeypatch)
    problem, steps = tiny_prms.TEXTS[4]
    requests = grown(problem, steps)
    counted = [score(prm, [request])[0].tokens for request in requests]
    total = lengths(prm, requests)
    new = [total[0], *(b - a for a, b in pairwise(total))]
    assert counted == new
    assert shapes == [(1, tokens) for tokens in new]


def test_a_whole_text_is_counted_whole_and_equal_ones_once(format, folder):
    prm = load(format, folder)
    counted = [scored.tokens for scored in score(prm, [*ALL, ALL[0], ALL[3]])]
    assert counted == [*lengths(prm, ALL), 0, 0]
    assert score(prm, [ALL[0]])[0].tokens == lengths(prm, ALL)[0]


def test_what_texts_have_in_common_is_counted_for_each(format, folder):
    prm = load(format, folder)
    problem = "What is 2 + 3 * 4 - 1, and why is it not 19 as a careless reader would have it?"
    requests = [whole(problem, ["Multiply 3 and 4.", f"Then add {k}."]) for k in range(6)]
    scored = score(prm, requests)
    assert [result.tokens for result in scored] == lengths(prm, requests)
    for request, result in zip(requests, scored, strict=True):
        apart = prm_references.reference_scores(format, folder, problem, list(request.steps))
        assert result.scores == pytest.approx(apart, abs=1e-5)


def test_a_path_of_which_nothing_is_kept_is_read_and_counted_whole(format, folder, reference):
    prm = load(format, folder, cache_bytes=0)
    requests = grown(*tiny_prms.TEXTS[0])
    scored = [score(prm, [request])[0] for request in requests]
    assert [result.tokens for result in scored] == lengths(prm, requests)
    found = [value for result in scored for value in result.scores]
    assert found == pytest.approx(reference[0], abs=1e-5)


def test_a_full_store_costs_tokens_and_never_scores(format, folder, reference):
    _, heads, size = 2, 2, 8  # layers, key heads, head size of the tiny models
    per_token = 2 * 2 * heads * size * 4
    prm = load(format, folder, cache_bytes=150 * per_token)
    roomy = load(format, folder)
    found = [[] for _ in tiny_prms.TEXTS]
    read = {prm: 0, roomy: 0}
    for k in range(3):
        under_way = [i for i, (_, steps) in enumerate(tiny_prms.TEXTS) if k < len(steps)]
        requests = [grown(*tiny_prms.TEXTS[i])[k] for i in under_way]
        for i, scored in zip(under_way, score(prm, requests), strict=True):
            found[i] += scored.scores
            read[prm] += scored.tokens
        read[roomy] += sum(scored.tokens for scored in score(roomy, requests))
    for scores, expected in zip(found, reference, strict=True):
        assert scores == pytest.approx(expected[:3], abs=1e-5)
    assert read[roomy] < read[prm]


def test_known_steps_that_were_never_read_are_read_now(format, folder, reference):
    prm = load(format, folder)
    problem, steps = tiny_prms.TEXTS[4]
    request = ScoreRequest(problem, tuple(steps), known=7)
    scored = score(prm, [request])[0]
    assert scored.scores == pytest.approx(reference[4][7:], abs=1e-5)
    assert scored.tokens == lengths(prm, [request])[0]


def test_nothing_new_is_nothing_read(format, folder):
    prm = load(format, folder)
    scored = score(prm, [ScoreRequest("x", ("y",), known=1), ScoreRequest("x", ())])
    assert [(result.scores, result.tokens) for result in scored] == [((), 0), ((), 0)]
    assert score(prm, []) == []


def test_steps_that_end_within_the_context_are_scored_and_no_others(format, folder, reference):
    problem, steps = tiny_prms.TEXTS[4]
    ends = load(format, folder).reader.encode(problem, steps).positions
    for context, fitting in ((ends[4] + 1, 5), (ends[4], 4), (ends[0], 0)):
        prm = load(format, folder, context=context)
        scored = score(prm, [whole(problem, steps)])[0]
        assert scored.scores == pytest.approx(reference[4][:fitting], abs=1e-5)
        assert scored.tokens == (ends[fitting - 1] + 1 if fitting else 0)


def test_a_prm_reads_past_its_positions_where_its_entry_says_so(
    format, folder, reference, tmp_path
):
    # Positions are rotated on: the scores of a model whose config allows as many.
    short = tiny_prms.with_positions(folder, tmp_path / "short", 64)
    with pytest.raises(UserError, match="512 is more than its 64 positions"):
        load(format, short)
    prm = load(format, short, trained_context=64)
    requests = [ALL[4], *grown(*tiny_prms.TEXTS[4])]
    long, *steps = score(prm, requests)
    assert long.scores == pytest.approx(reference[4], abs=1e-5)
    assert [found.scores[0] for found in steps] == pytest.approx(reference[4], abs=1e-5)
    # However many tokens were read anew, the length is that of the text.
    ends = prm.reader.encode(*tiny_prms.TEXTS[4]).positions
    assert [found.length for found in (long, *steps)] == [end + 1 for end in (ends[-1], *ends)]
    assert ends[-1] > 64


def test_a_path_that_outgrows_the_context_keeps_the_scores_it_had(format, folder, reference):
    problem, steps = tiny_prms.TEXTS[4]
    ends = load(format, folder).reader.encode(problem, steps).positions
    prm = load(format, folder, context=ends[2] + 1)
    found = [score(prm, [request])[0].scores for request in grown(problem, steps)]
    assert [len(scores) for scores in found] == [1, 1, 1] + [0] * (len(steps) - 3)
    assert [scores[0] for scores in found[:3]] == pytest.approx(reference[4][:3], abs=1e-5)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
)
def test_memory_that_runs_out_halves_the_batch(format, folder, reference, monkeypatch, error):
    prm, shapes = load(format, folder), fed(monkeypatch, most_rows=2, error=error)
    for scored, expected in zip(score(prm, ALL), reference, strict=True):
        assert scored.scores == pytest.approx(expected, abs=1e-5)
    assert max(rows for rows, _ in shapes) > 2


def test_a_text_that_no_memory_holds_is_an_error(format, folder, reference, monkeypatch):
    prm = load(format, folder)
    with monkeypatch.context() as patch:
        fed(patch, most_rows=0, error=RuntimeError("DefaultCPUAllocator: can't allocate memory"))
        with pytest.raises(UserError, match="no memory to read a text of"):
            score(prm, ALL[:2])
    assert score(prm, ALL[:1])[0].scores == pytest.approx(reference[0], abs=1e-5)


def test_requests_are_answered_under_their_tickets(format, folder, reference):
    prm = load(format, folder)
    tickets = [prm.submit(request) for request in [*ALL[:3], ALL[0]]]
    found = dict(prm.poll())
    assert sorted(found) == sorted(tickets)
    for ticket, expected in zip(tickets, [*reference[:3], reference[0]], strict=True):
        assert found[ticket].scores == pytest.approx(expected, abs=1e-5)
    assert prm.poll() == []


def test_bfloat16_scores_are_near(format, folder, reference):
    prm = load(format, folder, dtype="bfloat16")
    for scored, expected in zip(score(prm, ALL[:4]), reference, strict=False):
        assert scored.scores == pytest.approx(expected, abs=0.15)


def test_a_sliding_window_is_kept_to_when_a_path_goes_on(tmp_path):
    tiny_prms.build("math-shepherd", tmp_path)
    sizes = tiny_prms.SIZES | {
        "vocab_size": json.loads((tmp_path / "config.json").read_text())["vocab_size"]
    }
    MistralForCausalLM(MistralConfig(sliding_window=9, dtype="float32", **sizes)).save_pretrained(
        tmp_path
    )
    problem, steps = tiny_prms.TEXTS[4]
    expected = prm_references.reference_scores("math-shepherd", tmp_path, problem, steps)
    prm = load("math-shepherd", tmp_path)
    assert score(prm, [whole(problem, steps)])[0].scores == pytest.approx(expected, abs=1e-5)
    found = [score(prm, [request])[0].scores[0] for request in grown(problem, steps)]
    assert found == pytest.approx(expected, abs=1e-5)
