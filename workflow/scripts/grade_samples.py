from testtime.data.samples import read_texts
from testtime.data.store import read_parquet, write_parquet
from testtime.grade.grading import grade_policy
from testtime.grade.workers import Workers
from testtime.runtime.job import job


def main(generations, searches, answers, convention, limits, output):
    keys = read_parquet(answers)
    golds = dict(zip(keys["problem_id"], keys["answer"], strict=True))
    texts = read_texts(generations, searches)
    with Workers(**limits) as workers:
        graded = grade_policy(texts, golds, workers, convention=convention)
    write_parquet(graded, output)


with job(snakemake.log[0]):
    main(
        snakemake.input.generations,
        snakemake.input.searches,
        snakemake.input.answers,
        snakemake.params.convention,
        snakemake.params.limits,
        snakemake.output[0],
    )
