"""Figures as drawn: from their data file alone, the same bytes each time, saying what they show."""

import pandas as pd
import pytest
import synthetic
from synthetic import figure_data
from testtime.data.store import read_csv
from testtime.present import registry
from testtime.present.figures import style

FIGURES = list(registry.figures())


def draw(name: str, data: pd.DataFrame | None = None):
    return synthetic.figure(name).draw(figure_data(name) if data is None else data)


def texts(figure) -> str:
    found = [text.get_text() for ax in figure.axes for text in ax.findobj(match=_is_text)]
    found += [text.get_text() for text in figure.findobj(match=_is_text)]
    return "\n".join(found)


def _is_text(artist) -> bool:
    return hasattr(artist, "get_text")


@pytest.mark.parametrize("name", FIGURES)
def test_the_data_file_alone_redraws_the_figure_byte_for_byte(name, tmp_path, monkeypatch):
    monkeypatch.setattr(style, "DPI", 40)  # what is compared does not depend on it
    figure = synthetic.figure(name)
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    pdf, table = tmp_path / "first.pdf", tmp_path / "data.csv"
    style.render(figure_data(name), figure.draw, table=table, images=[first, pdf])
    style.render(read_csv(table), figure.draw, table=tmp_path / "again.csv", images=[again])
    assert (tmp_path / "data.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    assert first.read_bytes() == again.read_bytes()
    assert b"CreationDate" not in pdf.read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_without_rows_says_so(name):
    assert "Nothing to show: " in texts(draw(name, figure_data(name).iloc[:0]))


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "methods_diagram"])
def test_two_datasets_have_panels_of_their_own(name):
    data = figure_data(name)
    both = pd.concat([data, data.assign(dataset="other")], ignore_index=True)
    assert "other" in texts(draw(name, both))


@pytest.mark.parametrize(
    "name",
    [
        "small_vs_large",
        "accuracy_by_budget",
        "accuracy_by_policy_size",
        "accuracy_by_difficulty",
        "voting_ablation",
        "compute_optimal_curve",
        "accuracy_by_cost",
        "prm_quality",
        "more_samples",
    ],
)
def test_the_number_of_problems_is_on_the_figure(name):
    expected = "66 problems" if name == "accuracy_by_difficulty" else "200 problems"
    assert expected in texts(draw(name))


def test_mean_scores_of_a_handful_of_samples_are_not_drawn():
    data = figure_data("prm_biases")
    scores = data["kind"] == "score"

    def axes(rows):
        return draw("prm_biases", rows).axes[3:]

    def drawn(rows):
        return sum(len(line.get_xdata()) for ax in axes(rows) for line in ax.lines)

    assert drawn(data) == scores.sum()
    few = scores & (data["x"] == "short") & (data["correct"] == 1)
    assert drawn(data.assign(n_samples=data["n_samples"].mask(few, 9))) == (scores & ~few).sum()


def test_budgets_lie_on_a_log2_axis_with_a_tick_each():
    ax = draw("accuracy_by_budget").axes[0]
    assert ax.get_xscale() == "log"
    assert list(ax.get_xticks()) == synthetic.POOL
    low, middle, high = ax.transData.transform([(4, 0), (8, 0), (16, 0)])[:, 0]
    assert middle == pytest.approx((low + high) / 2)


def test_a_study_without_prms_and_with_one_budget_is_drawn_too():
    accuracy = synthetic.accuracy()
    accuracy = accuracy[(accuracy["prm"] == "none") & accuracy["budget"].isin([1, 4])]
    best = synthetic.compute_optimal().query("prm in ('any', 'none') and budget == 4")
    study = {"accuracy": accuracy, "prms": []}
    drawn = [
        draw(name, figure_data(name, **study, **changes))
        for name, changes in {
            "accuracy_by_budget": {},
            "accuracy_by_difficulty": {"prm_quality": None},
            "compute_optimal_curve": {"prm_quality": None, "compute_optimal": best},
        }.items()
    ]
    assert all("problems" in texts(figure) and "PRM" not in texts(figure) for figure in drawn)
