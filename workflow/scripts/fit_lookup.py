from testtime import catalog
from testtime.fit.lookup import lookup
from testtime.fit.selection import Settings, fit_study
from testtime.fit.tables import binning_table, choice_table, compute_optimal_table
from testtime.job import job
from testtime.samples import read_cells
from testtime.tables import read_parquet, write_csv, write_json

BINNINGS = ("all", "level", "quantile")


def main(config, inputs, output):
    outcomes, difficulty = read_parquet(inputs.outcomes), read_cells(inputs.difficulty)
    settings = Settings.of_study(config)
    by_binning = {
        binning: fit_study(outcomes, difficulty, settings, binning=binning) for binning in BINNINGS
    }
    fits = [fit for binning in BINNINGS for fit in by_binning[binning]]
    study = catalog.of_study(config)
    write_csv(compute_optimal_table(by_binning["level"]), output.table)
    write_csv(choice_table(fits), output.choices)
    write_csv(binning_table(fits, settings.confidence), output.binnings)
    write_json(
        lookup(
            fits,
            settings,
            study=config["study"],
            difficulty=config["difficulty"],
            policies=[study.policy(name) for name in config["policies"]],
            prms=[study.prm(name) for name in config["prms"]],
        ),
        output.lookup,
    )


with job(snakemake.log[0]):
    main(snakemake.config, snakemake.input, snakemake.output)
