"""What a finished run says last: its main line, and where the report is."""

from pathlib import Path

from testtime.present.report import study_finding

JUDGED = ("lookup.json", "tables/outcomes.parquet", "tables/accuracy.csv")


def closing_words(results: str | Path, config: dict) -> str:
    """The headline of the study and the report's place.

    Empty where there is no report of the tables as they are: a run for other targets than the
    default leaves an old report, or none.

    Args:
        results: the study's folder.
        config: the study.
    """
    results = Path(results)
    report, judged = results / "report.html", [results / name for name in JUDGED]
    if not all(path.exists() for path in (report, *judged)):
        return ""
    if any(path.stat().st_mtime_ns > report.stat().st_mtime_ns for path in judged):
        return ""
    return f"{study_finding(results, config).headline}\nReport: {report}\n"
