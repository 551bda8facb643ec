from pathlib import Path

import pandas as pd
from testtime.data.samples import read_cells
from testtime.data.store import read_parquet, write_csv
from testtime.grade.grading import disagreements
from testtime.runtime.job import job


def main(grades, answers, conventions, limits, output):
    keys = {Path(path).stem: read_parquet(path) for path in answers}
    tables = []
    for (dataset, policy), graded in read_cells(grades).groupby(["dataset", "policy"], sort=False):
        golds = dict(zip(keys[dataset]["problem_id"], keys[dataset]["answer"], strict=True))
        found = disagreements(graded, golds, convention=conventions[dataset], **limits)
        tables.append(found.assign(dataset=dataset, policy=policy))
    table = pd.concat(tables, ignore_index=True)
    front = ["dataset", "policy"]
    write_csv(table[front + [name for name in table if name not in front]], output)


with job(snakemake.log[0]):
    main(
        snakemake.input.grades,
        snakemake.input.answers,
        snakemake.params.conventions,
        snakemake.params.limits,
        snakemake.output[0],
    )
