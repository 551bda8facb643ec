"""What a finished run says last."""

import os

import pandas as pd
import pytest
import report_study
from testtime.data.store import write_csv
from testtime.present.report.finding import closing_words
from testtime.present.report.page import write_report


@pytest.fixture
def study(tmp_path):
    results = report_study.make(tmp_path, figures=())
    return results, report_study.config(results)


def test_a_study_with_its_report_ends_with_the_finding_and_the_place(study):
    results, config = study
    finding = write_report(results, config, results / "report.html")
    assert closing_words(results, config) == (
        f"{finding.headline}\nReport: {results}/report.html\n"
    )


def test_the_words_follow_the_tables(study):
    results, config = study
    write_report(results, config, results / "report.html")
    before = closing_words(results, config)
    table = pd.read_csv(results / "tables/overtaking.csv")
    table["small_accuracy"] -= 0.011
    write_csv(table, results / "tables/overtaking.csv")
    assert closing_words(results, config).splitlines()[0] != before.splitlines()[0]


def test_without_a_report_nothing_is_said(study):
    assert closing_words(*study) == ""


def test_a_report_of_older_tables_is_not_pointed_to(study):
    results, config = study
    write_report(results, config, results / "report.html")
    later = (results / "report.html").stat().st_mtime + 10
    os.utime(results / "tables/outcomes.parquet", (later, later))
    assert closing_words(results, config) == ""
