"""What a finished run says last."""

import os

import pandas as pd
import pytest
import report_study
from testtime.data.store import write_csv
from testtime.present.report.finding import closing_words


@pytest.fixture
def study(tmp_path):
    results = report_study.make(tmp_path, figures=())
    return results, report_study.study(results)


def test_a_study_with_its_report_ends_with_the_finding_and_the_place(study):
    results, own = study
    finding = report_study.report(own)
    assert closing_words(own) == (f"{finding.headline}\nReport: {results}/report.html\n")


def test_the_words_follow_the_tables(study):
    results, own = study
    report_study.report(own)
    before = closing_words(own)
    table = pd.read_csv(results / "tables/overtaking.csv")
    table["small_accuracy"] -= 0.011
    write_csv(table, results / "tables/overtaking.csv")
    assert closing_words(own).splitlines()[0] != before.splitlines()[0]


def test_without_a_report_nothing_is_said(study):
    assert closing_words(study[1]) == ""


def test_a_report_of_older_tables_is_not_pointed_to(study):
    results, own = study
    report_study.report(own)
    later = (results / "report.html").stat().st_mtime + 10
    os.utime(results / "tables/outcomes.parquet", (later, later))
    assert closing_words(own) == ""
