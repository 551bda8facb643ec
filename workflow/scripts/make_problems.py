from testtime.data.decided import Cell
from testtime.data.problems import load_problems
from testtime.data.store import write_parquet
from testtime.runtime.job import job
from testtime.study import catalog
from testtime.study.study import Study


def main(config, dataset, problems, answers):
    study = Study(config, catalog.of_study(config))
    stamp = Cell(study, "problems", dataset).stamp
    rows = load_problems(
        study.catalog.dataset(dataset), seed=config["seed"], limit=config["problems"]["limit"]
    )
    write_parquet(rows.drop(columns="answer"), problems, stamp)
    write_parquet(rows[["problem_id", "answer"]], answers, stamp)


with job(snakemake.log[0]):
    main(
        snakemake.config,
        snakemake.wildcards.dataset,
        snakemake.output.problems,
        snakemake.output.answers,
    )
