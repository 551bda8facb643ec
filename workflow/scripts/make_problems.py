from testtime.data.problems import load_problems
from testtime.data.store import write_parquet
from testtime.runtime.job import job
from testtime.study.catalog import DatasetSpec


def make_problems(dataset, seed, limit, problems, answers):
    rows = load_problems(DatasetSpec(**dataset), seed=seed, limit=limit)
    write_parquet(rows.drop(columns="answer"), problems)
    write_parquet(rows[["problem_id", "answer"]], answers)


with job(snakemake.log[0]):
    make_problems(
        snakemake.params.dataset,
        snakemake.params.seed,
        snakemake.params.limit,
        snakemake.output.problems,
        snakemake.output.answers,
    )
