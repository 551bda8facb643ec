"""What every stage cost, from the benchmark files that Snakemake wrote beside the results."""

from pathlib import Path

import pandas as pd

STAGES = ["train", "problems", "generate", "score", "search", "grade", "difficulty", "evaluate"]
STAGES += ["fit", "compare", "figures"]  # in the order the data flow
COLUMNS = ["stage", "jobs", "wall_s", "longest_s", "memory_mb"]


def stage_costs(results: Path) -> pd.DataFrame:
    """One row per stage in the order of the study, then one for all of them.

    Processor time is left out: Snakemake looks at it every half minute at most, so that of short
    jobs is far too low.

    Returns:
        stage, jobs, wall_s (summed over jobs, which may have run side by side), longest_s (the
        longest job), memory_mb (largest resident memory of a job). No row where nothing was
        measured.
    """
    jobs = pd.DataFrame(_jobs(results / "benchmarks"), columns=["stage", "s", "memory"])
    if jobs.empty:
        return pd.DataFrame(columns=COLUMNS)
    stages = sorted(
        jobs["stage"].unique(),
        key=lambda name: (STAGES.index(name) if name in STAGES else len(STAGES), name),
    )
    rows = [_summary(stage, jobs[jobs["stage"] == stage]) for stage in stages]
    return pd.DataFrame([*rows, _summary("all", jobs)], columns=COLUMNS)


def _jobs(folder: Path) -> list[tuple]:
    found = []
    for path in sorted(folder.rglob("*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        stage = path.relative_to(folder).parts[0]
        for row in table.to_dict("records"):
            found.append((stage, row.get("s"), row.get("max_rss")))
    return found


def _summary(stage: str, jobs: pd.DataFrame) -> tuple:
    seconds = jobs["s"]
    return stage, len(jobs), seconds.sum(), seconds.max(), jobs["memory"].max()
