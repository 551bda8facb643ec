"""Figures as drawn: from their data file alone, the same bytes each time, saying what they show."""

import pandas as pd
import pytest
import synthetic
from testtime.present.figures import TITLES, style
from testtime.present.figures.accuracy_by_budget import (
    accuracy_by_budget_data,
    draw_accuracy_by_budget,
)
from testtime.present.figures.accuracy_by_difficulty import (
    accuracy_by_difficulty_data,
    draw_accuracy_by_difficulty,
)
from testtime.present.figures.accuracy_by_flops import (
    accuracy_by_flops_data,
    draw_accuracy_by_flops,
)
from testtime.present.figures.accuracy_by_policy_size import (
    accuracy_by_policy_size_data,
    draw_accuracy_by_policy_size,
)
from testtime.present.figures.compute_optimal_curve import (
    compute_optimal_curve_data,
    draw_compute_optimal_curve,
)
from testtime.present.figures.data import read_csv, render
from testtime.present.figures.lookup_heatmap import draw_lookup_heatmap, lookup_heatmap_data
from testtime.present.figures.methods_diagram import draw_methods_diagram, methods_diagram_data
from testtime.present.figures.pass_at_1_distribution import (
    draw_pass_at_1_distribution,
    pass_at_1_distribution_data,
)
from testtime.present.figures.prm_biases import draw_prm_biases, prm_biases_data
from testtime.present.figures.prm_quality import draw_prm_quality, prm_quality_data
from testtime.present.figures.small_vs_large import draw_small_vs_large, small_vs_large_data
from testtime.present.figures.voting_ablation import draw_voting_ablation, voting_ablation_data
from testtime.study.catalog import WORKFLOW

SIZES = {"policies": synthetic.POLICIES}
STUDY = SIZES | {"prms": synthetic.PRMS}
SHOWN = {"scoring": "last", "vote": "weighted"}


def difficulty() -> pd.DataFrame:
    frames = [synthetic.difficulty(p).assign(policy=p) for p in synthetic.POLICIES]
    return pd.concat(frames).assign(dataset=synthetic.DATASET)


FIGURES = {
    "small_vs_large": (
        lambda: small_vs_large_data(synthetic.frontier(), **SIZES),
        draw_small_vs_large,
    ),
    "methods_diagram": (methods_diagram_data, draw_methods_diagram),
    "pass_at_1_distribution": (
        lambda: pass_at_1_distribution_data(difficulty(), **SIZES, easy=0.5, hard=0.1),
        draw_pass_at_1_distribution,
    ),
    "accuracy_by_budget": (
        lambda: accuracy_by_budget_data(
            synthetic.accuracy(), synthetic.pass_at_k(), **STUDY, **SHOWN
        ),
        draw_accuracy_by_budget,
    ),
    "prm_quality": (
        lambda: prm_quality_data(
            synthetic.compute_optimal(), synthetic.prm_quality(), **STUDY, budget=16
        ),
        draw_prm_quality,
    ),
    "accuracy_by_policy_size": (
        lambda: accuracy_by_policy_size_data(synthetic.accuracy(), **STUDY, **SHOWN, budget=16),
        draw_accuracy_by_policy_size,
    ),
    "accuracy_by_difficulty": (
        lambda: accuracy_by_difficulty_data(
            synthetic.accuracy(), **STUDY, **SHOWN, shown_prm="good-prm"
        ),
        draw_accuracy_by_difficulty,
    ),
    "voting_ablation": (
        lambda: voting_ablation_data(synthetic.voting(), **STUDY, budget=16),
        draw_voting_ablation,
    ),
    "prm_biases": (
        lambda: prm_biases_data(synthetic.prm_length(), synthetic.prm_bias(), **STUDY),
        draw_prm_biases,
    ),
    "compute_optimal_curve": (
        lambda: compute_optimal_curve_data(
            synthetic.accuracy(),
            synthetic.compute_optimal(),
            **SIZES,
            **SHOWN,
            shown_prm="good-prm",
        ),
        draw_compute_optimal_curve,
    ),
    "accuracy_by_flops": (
        lambda: accuracy_by_flops_data(synthetic.by_cost(), synthetic.accuracy(), **SIZES),
        draw_accuracy_by_flops,
    ),
    "lookup_heatmap": (
        lambda: lookup_heatmap_data(synthetic.lookup(), **SIZES),
        draw_lookup_heatmap,
    ),
}


def texts(figure) -> str:
    found = [text.get_text() for ax in figure.axes for text in ax.findobj(match=_is_text)]
    found += [text.get_text() for text in figure.findobj(match=_is_text)]
    return "\n".join(found)


def _is_text(artist) -> bool:
    return hasattr(artist, "get_text")


def test_every_figure_is_tried_here():
    assert list(FIGURES) == list(TITLES)


@pytest.mark.parametrize("name", FIGURES)
def test_the_data_file_alone_redraws_the_figure_byte_for_byte(name, tmp_path, monkeypatch):
    monkeypatch.setattr(style, "DPI", 40)  # what is compared does not depend on it
    make, draw = FIGURES[name]
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    pdf = tmp_path / "first.pdf"
    render(make(), draw, table=tmp_path / "data.csv", images=[first, pdf])
    render(read_csv(tmp_path / "data.csv"), draw, table=tmp_path / "again.csv", images=[again])
    assert (tmp_path / "data.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    assert first.read_bytes() == again.read_bytes()
    assert b"CreationDate" not in pdf.read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_without_rows_says_so(name):
    make, draw = FIGURES[name]
    assert "Nothing to show: " in texts(draw(make().iloc[:0]))


@pytest.mark.parametrize("name", set(FIGURES) - {"methods_diagram"})
def test_two_datasets_have_panels_of_their_own(name):
    make, draw = FIGURES[name]
    data = make()
    both = pd.concat([data, data.assign(dataset="other")], ignore_index=True)
    assert "other" in texts(draw(both))


@pytest.mark.parametrize(
    "name",
    [
        "small_vs_large",
        "accuracy_by_budget",
        "accuracy_by_policy_size",
        "accuracy_by_difficulty",
        "voting_ablation",
        "compute_optimal_curve",
        "accuracy_by_flops",
        "prm_quality",
    ],
)
def test_the_number_of_problems_is_on_the_figure(name):
    make, draw = FIGURES[name]
    expected = "66 problems" if name == "accuracy_by_difficulty" else "200 problems"
    assert expected in texts(draw(make()))


def test_mean_scores_of_a_handful_of_samples_are_not_drawn():
    make, draw = FIGURES["prm_biases"]
    data = make()
    scores = data["kind"] == "score"

    def drawn(rows):
        return sum(len(line.get_xdata()) for ax in draw(rows).axes[3:] for line in ax.lines)

    assert drawn(data) == scores.sum()
    few = scores & (data["x"] == "short") & (data["correct"] == 1)
    assert drawn(data.assign(n_samples=data["n_samples"].mask(few, 9))) == (scores & ~few).sum()


def test_budgets_lie_on_a_log2_axis_with_a_tick_each():
    make, draw = FIGURES["accuracy_by_budget"]
    ax = draw(make()).axes[0]
    assert ax.get_xscale() == "log"
    assert list(ax.get_xticks()) == synthetic.POOL
    low, middle, high = ax.transData.transform([(4, 0), (8, 0), (16, 0)])[:, 0]
    assert middle == pytest.approx((low + high) / 2)


@pytest.mark.parametrize("name", TITLES)
def test_every_figure_has_a_caption_that_says_what_to_see_and_how_it_was_computed(name):
    caption = (WORKFLOW / "report" / f"{name}.rst").read_text(encoding="utf-8")
    assert "**What to see.**" in caption
    assert "**How computed.**" in caption


def test_a_study_without_prms_and_with_one_budget_is_drawn_too():
    accuracy = synthetic.accuracy()
    accuracy = accuracy[(accuracy["prm"] == "none") & accuracy["budget"].isin([1, 4])]
    best = synthetic.compute_optimal().query("prm in ('any', 'none') and budget == 4")
    by_budget = accuracy_by_budget_data(accuracy, synthetic.pass_at_k(), **SIZES, prms=[], **SHOWN)
    by_level = accuracy_by_difficulty_data(accuracy, **SIZES, prms=[], shown_prm=None, **SHOWN)
    curve = compute_optimal_curve_data(accuracy, best, **SIZES, shown_prm=None, **SHOWN)
    drawn = [
        draw_accuracy_by_budget(by_budget),
        draw_accuracy_by_difficulty(by_level),
        draw_compute_optimal_curve(curve),
    ]
    assert all("problems" in texts(figure) and "PRM" not in texts(figure) for figure in drawn)
