from testtime.compare.frontier import flops_table, frontier_table, overtaking_table
from testtime.compare.gains import gains_table
from testtime.compare.voting import voting_ablation
from testtime.data.samples import read_cells
from testtime.data.store import read_parquet, write_csv
from testtime.fit.cells import Settings
from testtime.fit.select import fit_study
from testtime.runtime.job import job
from testtime.study import catalog


def main(config, inputs, output):
    outcomes, difficulty = read_parquet(inputs.outcomes), read_cells(inputs.difficulty)
    settings = Settings.of_study(config)
    policies = catalog.of_study(config).policies
    fits = fit_study(outcomes, difficulty, settings)
    write_csv(frontier_table(fits, outcomes, policies, settings), output.frontier)
    write_csv(overtaking_table(fits, outcomes, policies, settings), output.overtaking)
    write_csv(flops_table(fits, outcomes, policies, settings), output.flops)
    write_csv(gains_table(fits, outcomes, settings), output.gains)
    write_csv(voting_ablation(outcomes, settings), output.voting)


with job(snakemake.log[0]):
    main(snakemake.config, snakemake.input, snakemake.output)
