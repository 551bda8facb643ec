from testtime.data.samples import read_cells
from testtime.data.store import write_csv
from testtime.evaluate.tables import pass_at_k_table
from testtime.runtime.job import job


def main(grades, budgets, evaluate, seed, output):
    table = pass_at_k_table(
        read_cells(grades),
        budgets=budgets,
        n_resamples=evaluate["bootstrap"],
        seed=seed,
        level=evaluate["confidence"],
    )
    write_csv(table, output)


with job(snakemake.log[0]):
    main(
        snakemake.input.grades,
        snakemake.params.budgets,
        snakemake.params.evaluate,
        snakemake.params.seed,
        snakemake.output[0],
    )
