"""The registry: what figures declare, read without importing them, and which a study can fill."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import synthetic
import yaml
from conftest import ROOT
from testtime.errors import UserError
from testtime.present import registry
from testtime.present.registry import Figure, Tables, read_facts
from testtime.study import catalog
from testtime.study.study import Study

FIGURES = registry.figures()


def study(**changes) -> Study:
    """The shipped study and a policy that thinks, with some of its config changed."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["policies"].append("micro-think-m")
    config["budgets"]["thinking"] = [64, 128]
    config |= changes
    return Study(config, catalog.of_study(config))


def declared(folder: Path, source: str, kind=Figure) -> dict:
    (folder / "mine.py").write_text(source)
    return read_facts(folder, kind)


def test_what_is_read_is_what_the_module_says():
    assert {name: synthetic.figure(name).FIGURE for name in FIGURES} == FIGURES


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_takes_the_inputs_and_settings_that_it_declares(name):
    figure = FIGURES[name]
    asked = {*figure.inputs, *figure.optional, *figure.settings}
    assert set(inspect.signature(synthetic.figure(name).data).parameters) == asked


@pytest.mark.parametrize("name", FIGURES)
def test_a_study_has_an_answer_to_all_that_a_figure_asks(name):
    figure, shipped = FIGURES[name], study()
    assert all(map(shipped.has, figure.needs))
    assert all(shipped.paths_of(thing) for thing in (*figure.inputs, *figure.optional))
    assert all(shipped.setting(setting) is not None for setting in figure.settings)


@pytest.mark.parametrize("name", FIGURES)
def test_the_caption_says_what_to_see_and_how_it_was_computed(name):
    seen, computed = FIGURES[name].caption.split("\n\n")
    assert seen.startswith("**What to see.** ")
    assert computed.startswith("**How computed.** ")


def test_reading_the_registry_imports_no_figure():
    program = "import sys; from testtime.present import registry; assert registry.figures(); "
    program += "print([m for m in ('matplotlib', 'pandas') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_figures_come_in_the_order_of_the_report_and_new_ones_last(monkeypatch):
    assert tuple(FIGURES)[: len(registry.FIGURE_ORDER)] == registry.FIGURE_ORDER
    monkeypatch.setattr(registry, "FIGURE_ORDER", ("prm_biases", "voting_ablation"))
    registry.figures.cache_clear()
    first, second, *others = registry.figures()
    registry.figures.cache_clear()
    assert (first, second) == ("prm_biases", "voting_ablation")
    assert others == sorted(set(FIGURES) - {first, second})


def test_a_study_is_asked_only_for_figures_it_can_fill():
    def left_out(**changes):
        return set(FIGURES) - set(registry.of_study(FIGURES, study(**changes)))

    assert left_out() == set()
    of_thoughts = {"thinking_grid", "short_or_long", "thinking_tokens"}
    alone = {"small_vs_large", "accuracy_by_policy_size"} | of_thoughts
    assert left_out(policies=["micro-s"]) == alone
    without_cot = {"small_vs_large", "stopping"}
    assert left_out(methods=["majority", "best_of_n"], per_policy={}) == without_cot
    of_scores = {"voting_ablation", "prm_biases", "prm_quality"}
    assert left_out(prms=[]) == of_scores
    assert left_out(methods=["cot", "majority", "dvts"]) == of_scores | {"stopping"}
    assert left_out(datasets=["math500"]) == {"prm_quality"}  # no labels of steps


def test_a_module_that_declares_nothing_is_passed_over(tmp_path):
    assert declared(tmp_path, "FIGURE = None\nOTHER = Figure('a', 'b', 'c')\n") == {}


def test_tables_are_declared_in_the_same_way(tmp_path):
    source = 'TABLES = Tables(stage="fit", tables={"a": "What a holds."}, heavy=True)\n'
    expected = Tables(stage="fit", tables={"a": "What a holds."}, heavy=True)
    assert declared(tmp_path, source, Tables) == {"mine": expected}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("FIGURE = Figure(title=TITLE, see='', computed='')", "malformed node"),
        ("FIGURE = Figure(title='t', see='', computed='', colour='red')", "'colour'"),
        ("FIGURE = Figure(title='t')", "missing"),
        ("FIGURE = Figure(", "was never closed"),
    ],
)
def test_a_declaration_that_cannot_be_read_is_named(tmp_path, source, reason):
    with pytest.raises(UserError, match=rf"mine\.py.*{reason}"):
        declared(tmp_path, source)


def test_tables_come_in_the_order_of_the_report():
    assert tuple(registry.tables())[: len(registry.TABLE_ORDER)] == registry.TABLE_ORDER
    assert next(iter(registry.descriptions())) == "accuracy"
