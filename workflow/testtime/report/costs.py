"""What every stage cost, from the benchmark files that Snakemake wrote beside the results."""

from pathlib import Path

import pandas as pd


def stage_costs(results: Path) -> pd.DataFrame:
    """One row per stage, in the order of the first job's name.

    Returns:
        stage, jobs, wall_s and cpu_s (summed over jobs, which may have run side by side),
        longest_s (the longest job), memory_mb (largest resident memory of a job).
    """
    rows = []
    for path in sorted((results / "benchmarks").rglob("*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        stage = path.relative_to(results / "benchmarks").parts[0]
        for record in table.to_dict("records"):
            rows.append(
                {"stage": stage, "wall_s": record.get("s"), "cpu_s": record.get("cpu_time")}
                | {"memory_mb": record.get("max_rss")}
            )
    if not rows:
        return pd.DataFrame(columns=["stage", "jobs", "wall_s", "cpu_s", "longest_s", "memory_mb"])
    costs = pd.DataFrame(rows).groupby("stage", sort=False)
    return costs.agg(
        jobs=("stage", "size"),
        wall_s=("wall_s", "sum"),
        cpu_s=("cpu_s", "sum"),
        longest_s=("wall_s", "max"),
        memory_mb=("memory_mb", "max"),
    ).reset_index()
