"""The page: complete, self-contained, escaped, and made of the tables' numbers."""

import json
import math
import re
import shutil
from html.parser import HTMLParser

import pandas as pd
import pytest
import report_study
import synthetic
from testtime.data.store import write_csv
from testtime.errors import UserError
from testtime.fit.advise import Question, advise
from testtime.present.report.examples import interesting
from testtime.present.report.facts import stage_costs, undecided
from testtime.present.report.page import MOST_ROWS, embed, write_report
from testtime.present.report.paths import ReportCell, Solution, fold, vote
from testtime.study.layout import Layout


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return report_study.make(tmp_path_factory.mktemp("study"))


def page(results) -> str:
    report_study.report(report_study.study(results))
    return (results / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(results):
    return page(results)


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.links, self.scripts = [], [], 0

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.sources += [attrs["src"]] if "src" in attrs else []
        self.links += [attrs["href"]] if "href" in attrs else []
        self.scripts += tag == "script" and attrs.get("type") != "application/json"


def parse(text: str) -> Links:
    parser = Links()
    parser.feed(text)
    return parser


def embedded(text: str, name: str) -> dict:
    found = re.search(
        rf'id="table-{name}".*?<script type="application/json">(.*?)</script>', text, re.S
    )
    return json.loads(found[1])


def test_nothing_is_loaded_from_elsewhere(text):
    parser = parse(text)
    assert parser.sources
    assert all(source.startswith("data:image/png;base64,") for source in parser.sources)
    outside = [link for link in parser.links if re.match(r"(https?:)?//", link)]
    assert outside == []


def test_every_link_beside_the_page_leads_to_a_file(results, text):
    beside = [link for link in parse(text).links if not link.startswith(("#", "data:"))]
    assert "figures/data/small_vs_large.csv" in beside
    assert all((results / link).exists() for link in beside)


def test_links_within_the_page_lead_somewhere(text):
    inside = [link[1:] for link in parse(text).links if link.startswith("#")]
    assert all(f'id="{name}"' in text for name in inside)


def test_what_a_model_wrote_is_text_and_never_markup(text):
    assert "<script>alert(" not in text
    assert "&lt;script&gt;alert(" in text
    assert "What is 0 + 0 &amp; &lt;b&gt;why&lt;/b&gt;?" in text
    assert parse(text).scripts == 1  # the page's own


def test_only_the_pages_own_script_may_run(text):
    policy = re.search(r'Content-Security-Policy"\s+content="([^"]+)"', text)[1]
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]+'", policy)


def test_a_table_named_like_markup_cannot_leave_its_data_block(tmp_path, results):
    rows = synthetic.accuracy().assign(policy="</script><script>alert(1)</script>")
    try:
        write_csv(rows, results / "tables/accuracy.csv")
        assert "</script><script>alert(1)" not in page(results)
    finally:
        write_csv(synthetic.accuracy(), results / "tables/accuracy.csv")


def test_a_few_budgets_are_readable_without_javascript(results, text):
    part = re.search(r'<details id="explorer-few" open>(.*?)</details>', text, re.S)[1]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for row in part.split("<tr>")[2:]]
    budgets = [row[1] for row in rows]
    assert {"N = 4", "N = 16"} <= set(budgets)
    assert any(budget.endswith("FLOPs") for budget in budgets)
    best = advise(synthetic.lookup(), Question("budget", 16))["advice"]
    row = rows[budgets.index("N = 16")]
    assert row[2:4] == [best["policy"], best["use"]]
    assert row[4].startswith(f"{100 * best['accuracy']:.1f} %")


def test_the_page_tells_what_was_run(text):
    config = report_study.config("x")
    for part in ("A synthetic study", "abc123", "python 3.", "snakemake", "beam width 4", "430k"):
        assert part in text
    assert f"<dt>Seed</dt><dd>{config['seed']}</dd>" in text


def test_tables_are_embedded_as_they_are(text):
    data = embedded(text, "accuracy")
    names = [column["name"] for column in data["columns"]]
    rows = pd.DataFrame(data["rows"], columns=names)
    expected = synthetic.accuracy()
    assert len(rows) == len(expected)
    assert rows["accuracy"].tolist() == pytest.approx(expected["accuracy"].tolist(), rel=1e-5)
    assert data["start"] == {"difficulty": "all"}


def test_changing_a_table_changes_the_page(results, text):
    path = results / "tables/overtaking.csv"
    rows = synthetic.overtaking()
    rows.loc[(rows["small"] == "small") & (rows["large"] == "large"), "small_accuracy"] = 0.7123
    try:
        write_csv(rows, path)
        changed = page(results)
    finally:
        write_csv(synthetic.overtaking(), path)
    headline = r'<p class="headline">(.*?)</p>'
    assert "71.2 %" in re.search(headline, changed, re.S)[1]
    assert "71.2 %" not in re.search(headline, text, re.S)[1]


def test_the_same_results_give_the_same_page(results, text):
    assert page(results) == text


def test_a_missing_figure_is_named(results):
    with pytest.raises(UserError, match=r"no such file: .*accuracy_by_budget\.png"):
        write_report(
            report_study.study(results),
            results / "other.html",
            figures=["accuracy_by_budget"],
            tables=[],
        )


def test_results_without_their_texts_have_a_report_without_examples(tmp_path, capsys):
    results = report_study.make(tmp_path, figures=())
    shutil.rmtree(results / "generations")
    report_study.report(report_study.study(results), tmp_path / "r.html")
    assert '<details class="example">' not in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "no examples of small" in capsys.readouterr().out


def test_a_study_without_prms_has_a_report_too(tmp_path):
    results = report_study.make(tmp_path, figures=())
    budgets = {"pool": [4, 16], "search": [], "thinking": []}
    study = report_study.study(results, prms=[], methods=["cot", "majority"], budgets=budgets)
    assert report_study.report(study, tmp_path / "r.html").headline
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "search none" in re.sub(r"\s+", " ", text)


def test_the_answer_of_every_method_is_shown(text):
    """Those that weigh samples without a PRM too."""
    first = re.search(r'<details class="example">.*?<tbody>(.*?)</tbody>', text, re.S)[1]
    labels = [re.search(r"<td>(.*?)</td>", row)[1] for row in first.split("<tr>")[1:]]
    assert labels == ["CoT", "Majority", "Confidence", "Best-of-N", "Beam search", "DVTS"]


def test_methods_choose_among_the_pool_by_their_own_weights(results):
    study = report_study.study(results)
    cell = ReportCell(study, synthetic.DATASET, "small", "good-prm")
    drawn = cell.solutions(["p003"])["p003"]
    assert [len(drawn.pool), len(drawn.chains)] == [16, 1]
    assert set(drawn.choices) == {"cot", "majority", "confidence", "best_of_n"}
    assert all(len(drawn.choices[name]) == cell.budget for name in ("majority", "confidence"))
    assert {path.score for path in drawn.choices["majority"]} == {1.0}
    assert drawn.choices["confidence"][0].score == pytest.approx(math.exp(-0.25))
    assert drawn.choices["best_of_n"] == drawn.pool[: cell.budget]


def test_the_budget_shown_is_one_that_the_pool_has(results):
    config = report_study.config(results)
    config["catalog"]["policies"]["small"] |= {"samples": "from/a/file", "n_samples": 12}
    study = report_study.study(results, catalog=config["catalog"])
    budgets = [ReportCell(study, synthetic.DATASET, p, None).budget for p in ("small", "large")]
    assert budgets == [4, 16]


def test_costs_sum_what_the_benchmarks_say(results):
    costs = stage_costs(Layout(str(results))).set_index("stage")
    assert costs.loc["generate", "jobs"] == 3
    assert costs.loc["generate", "wall_s"] == pytest.approx(3 * 12.5)
    assert costs.loc["generate", "longest_s"] == 12.5
    assert costs.loc["grade", "memory_mb"] == 512.5
    assert list(costs.index) == ["generate", "grade", "all"]
    assert costs.loc["all", "wall_s"] == pytest.approx(3 * 12.5 + 3 * 3.0)


def test_costs_of_a_job_too_short_to_measure_are_missing_not_an_error(tmp_path):
    path = tmp_path / "benchmarks/fit/x.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("s\tmax_rss\tcpu_time\n0.2\tNA\t-\n")
    costs = stage_costs(Layout(str(tmp_path))).iloc[0]
    assert costs["wall_s"] == 0.2
    assert pd.isna(costs["memory_mb"])
    assert stage_costs(Layout(str(tmp_path / "none"))).empty


def test_undecided_grades_are_counted_and_named(results):
    count, total, rows = undecided(report_study.study(results))
    assert count == 3  # one sample per policy, see the synthetic grades
    assert total > count
    assert set(rows["reason"]) == {"the comparison took longer than 5 s"}
    assert set(rows["gold"]) == {"6"}


def test_a_table_too_long_for_a_page_keeps_its_overall_rows_and_says_so(tmp_path):
    n = MOST_ROWS + 10
    rows = pd.DataFrame({"difficulty": ["all", "easy"] * (n // 2), "accuracy": 0.5})
    write_csv(rows, tmp_path / "accuracy.csv")
    table = embed(tmp_path / "accuracy.csv")
    assert table.total == n
    assert {row[0] for row in table.rows} == {"all"}


def test_columns_tell_the_page_how_to_show_them(tmp_path):
    rows = pd.DataFrame(
        {"policy": ["a", "b"], "budget": [4, 16], "accuracy": [0.5, None], "flops": [1.5e9, 2.0]}
    )
    write_csv(rows, tmp_path / "t.csv")
    table = embed(tmp_path / "t.csv")
    kinds = {column["name"]: column["kind"] for column in table.columns}
    assert kinds == {"policy": "text", "budget": "int", "accuracy": "percent", "flops": "number"}
    assert table.rows[1] == ["b", 16, None, 2.0]


def test_a_table_without_rows_is_left_out(tmp_path):
    write_csv(pd.DataFrame(), tmp_path / "t.csv")
    assert embed(tmp_path / "t.csv") is None


def solution(group: int, score: float | None = None) -> Solution:
    return Solution(0, (), 1, "stop", str(group), group, None, score)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("majority", [0]),  # 0 three times, 1 twice, 2 once
        ("max", [2]),  # the best single score
        ("weighted", [1]),  # 0.6 in all for 0, 1.3 for 1, 0.9 for 2
    ],
)
def test_votes_count_scores_as_defined(how, expected):
    paths = [solution(0, 0.2)] * 3 + [solution(1, 0.65)] * 2 + [solution(2, 0.9)]
    assert [path.group for path in vote(paths, how)] == expected


def test_votes_that_tie_name_both_and_a_path_without_answer_has_none():
    paths = [solution(0, 0.1), solution(1, 0.2), solution(1, 0.2), solution(0, 0.3)]
    assert [path.group for path in vote(paths, "weighted")] == [0, 1]
    assert vote([solution(-1, 0.9)], "max") == []


def test_paths_fold_where_they_share_steps():
    a, b, c, d = (("a", 0.9), ("b", 0.8), ("c", 0.1), ("d", None))
    tree = fold([[a, b], [a, c, d], [a, c], [a, b]])
    assert tree.steps == [a]
    assert tree.paths == []
    first, second = tree.branches
    assert (first.steps, first.paths) == ([b], [0, 3])
    assert (second.steps, second.paths) == ([c], [2])
    assert (second.branches[0].steps, second.branches[0].paths) == ([d], [1])


def test_equal_steps_with_unequal_scores_stay_apart():
    tree = fold([[("a", 0.9)], [("a", 0.2)]])
    assert [branch.steps for branch in tree.branches] == [[("a", 0.9)], [("a", 0.2)]]


def test_examples_are_problems_where_methods_part():
    wide = pd.DataFrame(
        {
            "cot": [0, 0, 0, 1.0],
            "majority": [0.1, 0.9, 0.0, 1.0],
            "beam_search": [1.0, 0.2, 0.1, 1.0],
        },
        index=["helped", "misled", "hopeless", "easy"],
    )
    assert [problem_id for problem_id, _ in interesting(wide)] == ["helped", "misled", "hopeless"]
    assert list(interesting(wide.loc[["easy"]])) == []
