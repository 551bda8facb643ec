import pandas as pd
import pytest
from testtime.compare.gains import performance_gain
from testtime.compare.published import TABLES, beside_published, published_accuracy, read_published
from testtime.errors import UserError
from testtime.evaluate.costs import pretraining_flops
from testtime.study import catalog


def test_performance_gains_of_table_5_follow_from_its_accuracies():
    """All ten rows, to the digit printed."""
    table = read_published("table5_gains")
    assert len(table) == 10
    gains = 100 * performance_gain(table["cot"], table["compute_optimal"])
    printed = table["performance_gain_percent"].astype(float)
    assert gains.round(1).to_list() == pytest.approx(printed.to_list(), abs=0.051)


def test_pretraining_flops_of_table_4_follow_from_parameters_and_tokens():
    table = read_published("table4_flops")
    flops = [
        pretraining_flops(1e9 * float(row.params_b), 1e12 * float(row.pretraining_tokens_t))
        for row in table.itertuples()
    ]
    assert flops == pytest.approx(table["pretraining_flops"].astype(float).to_list(), rel=0.005)


def test_totals_of_table_4_are_those_of_pretraining():
    """Inference is six orders of magnitude below, so the printed totals are equal."""
    table = read_published("table4_flops").astype(
        {"pretraining_flops": float, "total_flops": float}
    )
    assert (table["pretraining_flops"] == table["total_flops"]).all()


def test_the_transcription_agrees_with_the_shared_copy(root):
    folder = root.parent / "shared" / "paper"
    if not folder.is_dir():
        pytest.skip("no shared copy of the paper's tables beside this checkout")
    for name in TABLES:
        theirs = pd.read_csv(folder / f"{name}.csv", dtype=str).rename(columns={"policy": "model"})
        ours = read_published(name).astype(str)[list(theirs)]
        pd.testing.assert_frame_equal(ours.map(plain), theirs.map(plain), check_dtype=False)


def plain(value):
    """Equal numbers are equal however they are written."""
    try:
        return float(value)
    except ValueError:
        return value


def test_every_named_policy_is_in_the_catalog():
    known = catalog.load().policies
    for name in TABLES:
        for policy in read_published(name)["policy"]:
            assert not policy or policy in known


def test_accuracies_are_proportions_per_dataset():
    rows = published_accuracy("table3_frontier")
    cot = rows[(rows["model"] == "GPT-4o") & (rows["dataset"] == "math500")]
    assert cot["published"].to_list() == pytest.approx([0.746])
    assert set(rows["dataset"]) == {"math500", "aime24"}


def test_published_accuracy_stands_beside_the_same_policy_only():
    ours = pd.DataFrame(
        {
            "policy": ["llama-3.2-1b-instruct", "llama-3.2-1b-instruct", "micro-s"],
            "setting": ["compute-optimal TTS", "CoT", "compute-optimal TTS"],
            "dataset": ["math500"] * 3,
        }
    )
    published = beside_published(ours, "table3_frontier")["published"]
    assert published[0] == pytest.approx(0.662), "the first of two published budgets"
    assert published[1:].isna().all()


def test_an_unknown_table_is_refused():
    with pytest.raises(UserError, match="'table9' is not known; allowed: table3_frontier"):
        read_published("table9")
