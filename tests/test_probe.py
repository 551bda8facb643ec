"""`testtime check --probe`: every model at work, and a clear word on each."""

from dataclasses import replace

import pytest
import yaml
from prm_references import reference_scores
from testtime.cli import app
from testtime.cli.probe import Verdict, _compare_scores, _compare_texts, _judge_card
from testtime.cli.rates import measured_entries
from testtime.study.catalog import load
from typer.testing import CliRunner

KNOWN = load()
CARDS = [spec for spec in KNOWN.prms.values() if spec.card]


@pytest.fixture(scope="module")
def probed(root, tmp_path_factory):
    """A probe of a policy, a PRM, and that PRM with another one's scores on its card."""
    folder = tmp_path_factory.mktemp("probe")
    spec = KNOWN.prm("micro-prm-good")
    wrong = {"base": spec.name, "card": spec.card | {"scores": [0.79, 0.96]}}
    study = {
        "results": str(folder / "results"),
        "policies": ["micro-s"],
        "prms": [spec.name, "mistaken"],
        "catalog": {"prms": {"mistaken": wrong}},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        done = CliRunner().invoke(app, ["check", "--probe", str(folder / "study.yaml")])
    return done, folder / "results"


def test_each_model_gets_a_verdict_and_a_wrong_one_ends_with_status_2(probed):
    done, _ = probed
    assert done.exit_code == 2, done.output
    lines = done.stdout.splitlines()
    assert "policy micro-s: ok" in lines
    assert "PRM micro-prm-good: ok" in lines
    assert "PRM mistaken: WRONG" in lines
    assert "scores 0.8445 0.0001, its card prints 0.7900 0.9600" in done.stdout


def test_samples_are_drawn_and_searches_end(probed):
    said = probed[0].stdout
    assert "640 of 640 samples end; of the first ones 10 of 10 have an answer" in said
    assert said.count("search with micro-s: 10 of 10 end") == 2


def test_plan_can_take_what_a_probe_measured(probed):
    found = measured_entries(probed[1])
    assert set(found["policies"]) == {"micro-s"}
    assert set(found["prms"]) == {"micro-prm-good", "mistaken"}
    assert all(entry["rate"] > 0 for kind in found.values() for entry in kind.values())


def test_a_model_that_dies_is_named_and_its_log_is_told(root, tmp_path, monkeypatch):
    monkeypatch.chdir(root)
    study = {
        "results": str(tmp_path / "results"),
        "policies": ["micro-s"],
        "prms": [],
        "methods": ["cot", "majority"],
        "catalog": {"policies": {"micro-s": {"context": 16}}},  # no prompt fits
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    done = CliRunner().invoke(app, ["check", "--probe", str(tmp_path / "study.yaml")])
    assert done.exit_code == 2
    assert "policy micro-s: WRONG" in done.stdout
    assert "context" in done.stdout
    assert "logs/probe/policies/micro-s.log" in done.stdout


@pytest.mark.parametrize(
    ("scores", "passes"),
    [
        ([1.0, 0.1904, 0.9766, 1.0], True),
        ([0.998, 0.154, 0.975, 0.999], True),  # as others got in bfloat16
        ([1.0, 0.1904, 0.90, 1.0], False),
        ([1.0, 0.1904, 0.9766], False),
        ([1.0, 0.9766, 0.1904, 1.0], False),
    ],
)
def test_a_card_is_met_within_five_hundredths_on_the_same_side(scores, passes):
    verdict = Verdict("PRM", "x")
    _judge_card(KNOWN.prm("qwen2.5-math-prm-7b"), scores, verdict)
    assert bool(verdict.notes) == passes
    assert bool(verdict.problems) != passes


def test_scores_on_another_side_of_a_half_are_wrong_however_near():
    spec = KNOWN.prm("micro-prm-good")
    verdict = Verdict("PRM", "x")
    _judge_card(replace(spec, card=spec.card | {"scores": [0.51]}), [0.49], verdict)
    assert verdict.problems


def test_engines_agree_within_the_same_bounds():
    for gap, passes in ((0.04, True), (0.06, False)):
        verdict = Verdict("PRM", "x")
        _compare_scores([[0.5, 0.5]], [[0.5, 0.5 + gap]], "transformers", verdict)
        assert bool(verdict.notes) == passes
    texts = [[1, 2, 3, 4, 5, 6], [1, 2]]
    for others, passes in (([[1, 2, 3, 4, 5, 9], [1, 2]], True), ([[9], [8]], False)):
        verdict = Verdict("policy", "x")
        _compare_texts(texts, others, "transformers", verdict)
        assert bool(verdict.notes) == passes


@pytest.mark.parametrize("spec", CARDS, ids=lambda spec: spec.name)
def test_a_card_has_a_score_for_each_step(spec):
    assert len(spec.card["scores"]) == len(spec.card["steps"])


@pytest.mark.parametrize("spec", [s for s in CARDS if s.folder], ids=lambda spec: spec.name)
def test_the_shipped_cards_print_what_the_published_read_out_gives(spec):
    card = (spec.folder / "README.md").read_text()
    for step, score in zip(spec.card["steps"], spec.card["scores"], strict=True):
        assert f"| `{step}` | {score:.4f} |" in card
    if spec.format == "qwen2.5-math-prm":
        found = reference_scores(spec.format, spec.folder, spec.card["problem"], spec.card["steps"])
        assert found == pytest.approx(spec.card["scores"], abs=1e-4)
