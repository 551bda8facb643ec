from testtime.catalog import DatasetSpec
from testtime.job import job
from testtime.problems import load_problems
from testtime.tables import write_parquet


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
