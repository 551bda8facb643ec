from testtime.evaluate import pass_at_k_table
from testtime.job import job
from testtime.samples import read_cells
from testtime.tables import write_csv


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
