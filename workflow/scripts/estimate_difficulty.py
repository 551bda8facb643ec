from testtime.data.store import read_parquet, write_parquet
from testtime.evaluate.difficulty import estimate
from testtime.runtime.job import job


def main(grades, difficulty, output):
    bins = {key: difficulty[key] for key in ("easy", "hard", "quantiles")}
    write_parquet(estimate(read_parquet(grades), **bins), output)


with job(snakemake.log[0]):
    main(snakemake.input.grades, snakemake.params.difficulty, snakemake.output[0])
