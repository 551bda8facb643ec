from testtime.data.samples import read_cells
from testtime.data.store import read_parquet, write_csv
from testtime.evaluate.tables import accuracy_table
from testtime.runtime.job import job


def main(outcomes, difficulty, evaluate, seed, output):
    table = accuracy_table(
        read_parquet(outcomes),
        read_cells(difficulty),
        n_resamples=evaluate["bootstrap"],
        seed=seed,
        level=evaluate["confidence"],
    )
    write_csv(table, output)


with job(snakemake.log[0]):
    main(
        snakemake.input.outcomes,
        snakemake.input.difficulty,
        snakemake.params.evaluate,
        snakemake.params.seed,
        snakemake.output[0],
    )
