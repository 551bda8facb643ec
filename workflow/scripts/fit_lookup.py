import json
from pathlib import Path

from testtime.data.samples import read_cells
from testtime.data.store import read_parquet, write_csv, write_json
from testtime.fit.cells import Settings
from testtime.fit.cost_axis import cost_table
from testtime.fit.lookup import lookup
from testtime.fit.plans import make_plans
from testtime.fit.predict import calibration_table
from testtime.fit.select import (
    binning_table,
    choice_table,
    compute_optimal_table,
    fit_study,
)
from testtime.fit.transfer import transfer_table
from testtime.fit.tree import fit_tree, tree_contexts
from testtime.present.figures.data import quality_column, read_csv
from testtime.runtime.job import job
from testtime.study import catalog

BINNINGS = ("all", "level", "quantile")


def main(config, inputs, rates, output):
    outcomes, difficulty = read_parquet(inputs.outcomes), read_cells(inputs.difficulty)
    predictions = read_parquet(*inputs.predictions)
    predictors = [
        entry for path in inputs.predictors for entry in json.loads(Path(path).read_text())
    ]
    settings = Settings.of_study(config)
    study = catalog.of_study(config)
    by_binning = {
        binning: fit_study(outcomes, difficulty, settings, binning=binning) for binning in BINNINGS
    }
    predicted = fit_study(outcomes, predictions, settings, binning="predicted_level")
    fits = [fit for binning in BINNINGS for fit in by_binning[binning]]
    quality = get_quality(inputs)
    parameters = {name: study.policy(name).parameters for name in config["policies"]}
    write_csv(compute_optimal_table(by_binning["level"]), output.table)
    write_csv(choice_table(fits), output.choices)
    write_csv(binning_table([*fits, *predicted], settings.confidence), output.binnings)
    write_csv(transfer_table(by_binning["level"], outcomes, difficulty, settings), output.transfer)
    write_csv(calibration_table(predictions), output.calibration)
    write_csv(cost_table(outcomes, difficulty, settings, rates), output.by_cost)
    write_json(
        lookup(
            fits,
            settings,
            study=config["study"],
            difficulty=config["difficulty"],
            policies=[study.policy(name) for name in config["policies"]],
            prms=[study.prm(name) for name in config["prms"]],
            prm_quality=quality,
            tree=fit_tree(tree_contexts(by_binning["level"], parameters, quality)),
            plans=make_plans(outcomes, predictions, settings, n_probe=predictors[0]["n_probe"]),
            predictors=predictors,
            beam_width=config["beam_width"],
        ),
        output.lookup,
    )


def get_quality(inputs):
    """Mean quality of each PRM over the policies, where it was measured."""
    if not inputs.quality:
        return {}
    table = read_csv(inputs.quality)
    if table.empty:
        return {}
    return table.groupby("prm")[quality_column(table)].mean().to_dict()


with job(snakemake.log[0]):
    main(snakemake.config, snakemake.input, snakemake.params.rates, snakemake.output)
