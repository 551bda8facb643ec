"""Limits of the transformers policy: context, memory, what is kept, what cannot be loaded."""

import itertools
import json
import socket

import pytest
from test_engine_policy_sampling import prompts, requests, run, tokens
from testtime.engines.base import sample
from testtime.engines.load import load_policy
from testtime.engines.transformers import policy as engine
from testtime.errors import UserError
from testtime.study.types import Request, Sampling
from tiny_policies import WORDS, fed, ids, load, random_policy, scripted_policy, spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return random_policy(tmp_path_factory.mktemp("llama"))


def test_text_ends_where_the_context_is_full(tmp_path):
    policy = load(scripted_policy(tmp_path, {"a": {"a": 1.0}}), context=16)
    ((child,),) = run(policy, [Request(ids(*"aaaaa"), (0,), Sampling(), "end", 100)])
    assert (len(child.token_ids), child.finish) == (11, "length")


def test_a_prompt_that_does_not_fit_names_tokens_and_limit(folder):
    policy = load(folder, context=16)
    with pytest.raises(UserError, match=r"prompt of 16 tokens; allowed: 1 to 15"):
        policy.submit(Request(ids("a") * 16, (0,), Sampling(), "end", 5))
    with pytest.raises(UserError, match=r"prompt of 0 tokens"):
        policy.submit(Request((), (0,), Sampling(), "end", 5))


def test_a_path_that_fills_the_context_gets_empty_children(folder):
    request = Request(ids("a") * 16, (0,), Sampling(), "step", 5, first_position=9)
    ((child,),) = run(load(folder, context=16), [request])
    assert (child.token_ids, child.finish) == ((), "length")


def grow(*policies) -> list[tuple[int, ...]]:
    """Paths of a small search: four beams, each goes on from its first child.

    Several policies take the steps in turn.
    """
    paths = [(prompt, 0) for prompt in prompts(4, seed=2)]
    for depth, policy in zip(range(6), itertools.cycle(policies), strict=False):
        wanted = [
            Request(path, (depth, depth + 9, depth + 18), Sampling(), "step", 7, first)
            for path, first in paths
        ]
        families = run(policy, wanted)
        paths = [
            (path + family[0].token_ids, first + len(family[0].token_ids))
            for (path, first), family in zip(paths, families, strict=True)
        ]
    return [path for path, _ in paths]


def test_kept_prefixes_change_nothing(folder):
    assert grow(load(folder)) == grow(*(load(folder) for _ in range(6)))


def test_kept_prefixes_are_not_read_again(tmp_path, monkeypatch):
    endless = {word: {"a": 0.5, "b": 0.3, "\n\n": 0.2} for word in WORDS}
    folder, shapes = scripted_policy(tmp_path, endless), fed(monkeypatch)
    paths = grow(load(folder))
    assert sum(tokens > 1 for _, tokens in shapes) == 1  # the prompts, together
    shapes.clear()
    assert grow(*(load(folder) for _ in range(6))) == paths
    assert sum(tokens > 1 for _, tokens in shapes) == 6


def test_a_store_that_is_too_small_for_all_changes_nothing(folder, monkeypatch):
    monkeypatch.setattr(engine, "CPU_BYTES", 0)  # but one context always fits
    small = load(folder, max_rows=6)
    monkeypatch.undo()
    assert grow(small) == grow(load(folder))
    assert tokens(run(small, requests(9))) == tokens(run(load(folder), requests(9)))


def test_rows_are_halved_when_memory_runs_out_and_nothing_else_changes(folder, monkeypatch):
    expected = tokens(run(load(folder), requests(8)))
    shapes = fed(monkeypatch, most_rows=5)
    assert tokens(run(load(folder, max_rows=16), requests(8))) == expected
    rows = [rows for rows, tokens in shapes if tokens == 1]
    assert rows[:2] == [16, 8]
    assert max(rows[2:]) == 4


def test_no_memory_for_a_single_row_is_told(folder, monkeypatch):
    policy = load(folder, max_rows=2)
    fed(monkeypatch, most_rows=0)
    with pytest.raises(UserError, match="no memory to generate in a single row"):
        list(sample(policy, requests(2)))


def test_a_local_folder_needs_no_network(folder, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    policy = load(folder)
    assert policy.decode(policy.encode("ab")) == "ab\n"


def test_every_end_of_text_token_of_the_generation_config_ends_a_text(tmp_path):
    folder = scripted_policy(tmp_path, {"a": {"b": 1.0}, "b": {"c": 1.0}, "c": {"<end>": 1.0}})
    request = Request(ids("a"), (0,), Sampling(), "end", 9)
    assert run(load(folder), [request])[0][0].token_ids == ids("b", "c", "<end>")
    config = {"eos_token_id": [1, ids("c")[0]]}
    (folder / "generation_config.json").write_text(json.dumps(config))
    ((child,),) = run(load(folder), [request])
    assert (child.token_ids, child.finish) == (ids("b", "c"), "stop")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float8"}, "dtype 'float8' is not known; allowed: float32"),
        ({"prompt": "loud"}, "prompt 'loud' is not known; allowed: plain"),
        ({"separator": ""}, "separator is empty"),
        ({"context": 4096}, "context 4096 is more than its 128 positions"),
        ({"gpus": 2}, "needs 2 GPUs; engine transformers uses 1"),
    ],
)
def test_wrong_options_are_told(folder, options, message):
    with pytest.raises(UserError, match=message):
        load(folder, **options)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match=r"no such folder: .*nowhere"):
        load_policy(spec(tmp_path / "nowhere"), engine="transformers")


def test_a_tokenizer_without_chat_template_is_told(tmp_path):
    folder = random_policy(tmp_path)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="no chat template"):
        load(folder)


def test_a_chat_template_that_refuses_the_prompt_is_told(tmp_path):
    folder = random_policy(tmp_path)
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no system turn') }}")
    with pytest.raises(UserError, match="refuses prompt 'boxed': no system turn"):
        load(folder, prompt="boxed").encode("ab")
