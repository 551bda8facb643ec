"""Loading PRMs: by name, whole, with their own tokenizer, or not at all."""

from dataclasses import replace

import pytest
import tiny_prms
from safetensors.torch import load_file, save_file
from testtime.engines.base import score
from testtime.engines.load import load_prm
from testtime.errors import UserError
from testtime.prms.qwen25_math_prm import Qwen2ForProcessRewardModel
from testtime.runtime import hub
from testtime.study.catalog import PrmSpec
from testtime.study.types import ScoreRequest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config


def load(format, folder, **entry):
    spec = PrmSpec(str(folder), 0, model=str(folder), format=format, context=512, dtype="auto")
    return load_prm(replace(spec, **entry), engine="transformers")


def test_weights_that_a_wrapper_saved_behind_its_own_name_load(tmp_path, tmp_path_factory):
    folder = tiny_prms.build("skywork", tmp_path_factory.getbasetemp() / "skywork")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    weights = {
        key if key.startswith("v_head") else f"pretrained_model.{key}": value
        for key, value in load_file(folder / "model.safetensors").items()
    }
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    ours, published = (
        score(load("skywork", f), [ScoreRequest(p, tuple(s)) for p, s in tiny_prms.TEXTS])
        for f in (tmp_path, folder)
    )
    assert ours == published


@pytest.mark.parametrize(
    ("lost", "named"),
    [("score.2.bias", "score.2.bias"), ("model.layers.1.mlp.up_proj.weight", "up_proj")],
)
def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path, tmp_path_factory, lost, named):
    folder = tiny_prms.build(
        "qwen2.5-math-prm", tmp_path_factory.getbasetemp() / "qwen2.5-math-prm"
    )
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    weights = load_file(folder / "model.safetensors")
    del weights[lost]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"lack the weights.*{named}"):
        load("qwen2.5-math-prm", tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, "dtype 'int8'.*float32, bfloat16, float16, auto"),
        ({"gpus": 2}, "needs 2 GPUs.*vllm"),
        ({"format": "qwen"}, "'qwen'.*rlhflow"),
        ({"context": 4096}, "context 4096.*512 positions; `trained_context: 512` beside it"),
        ({"context": 4096, "trained_context": 513}, "trained_context 513.*512 positions"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path_factory, options, message):
    folder = tiny_prms.build("rlhflow", tmp_path_factory.getbasetemp() / "rlhflow")
    with pytest.raises(UserError, match=message):
        load(**({"format": "rlhflow", "folder": folder, "context": 64} | options))


def test_a_tokenizer_is_taken_as_its_file_says_whatever_the_models_family(tmp_path):
    # transformers gives every Qwen2 model its own pre-tokenizer; a plain one is still kept.
    words = Tokenizer(models.WordLevel({"?": 0, "one": 1, "two.": 2, "<extra_0>": 3}, "?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.add_special_tokens(["<extra_0>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + ' ' }}{% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    config = Qwen2Config(vocab_size=4, dtype="float32", **tiny_prms.SIZES)
    Qwen2ForProcessRewardModel(config).save_pretrained(tmp_path)
    assert load("", tmp_path).reader.encode("one two.", ["two. one"]).token_ids[-5:] == [
        1,
        2,
        2,
        1,
        3,
    ]


def test_a_hub_model_that_is_not_here_is_named_at_once():
    with pytest.raises(UserError, match="nobody/no-such-prm is not in the cache"):
        load("rlhflow", "nobody/no-such-prm")


def test_the_hub_is_asked_once_and_the_log_says_which_commit_runs(monkeypatch, capsys):
    asked = []

    def find(repo, revision):
        asked.append((repo, revision))
        return hub.Found("0123abcd")

    monkeypatch.setattr(hub, "find", find)
    with pytest.raises(UserError, match="org/prm cannot be loaded"):
        load("rlhflow", "org/prm", revision="main")
    assert asked == [("org/prm", "main")]
    assert "PRM org/prm: org/prm, commit 0123abcd\n" in capsys.readouterr().err


def test_an_engine_that_there_is_not_is_named_with_those_that_there_are(tmp_path):
    with pytest.raises(UserError, match="engine 'tgi' is not known; allowed: transformers, vllm"):
        load("rlhflow", tmp_path, engine="tgi")
