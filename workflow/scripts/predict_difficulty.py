from testtime.data.samples import read_generations, read_scores
from testtime.data.store import read_parquet, write_json, write_parquet
from testtime.fit.cells import Settings
from testtime.fit.predict import predict_cell
from testtime.runtime.job import job


def main(config, wildcards, inputs, output):
    scores = read_scores(inputs.scores) if inputs.scores else None
    by_prm = dict(list(scores.groupby("prm"))) if scores is not None else {}
    predictions, predictors = predict_cell(
        read_generations(inputs.generations),
        read_parquet(inputs.grades),
        by_prm,
        read_parquet(inputs.difficulty),
        Settings.of_study(config),
        dataset=wildcards.dataset,
        policy=wildcards.policy,
        easy=config["difficulty"]["easy"],
        hard=config["difficulty"]["hard"],
        n_probe=min(4, config["budgets"]["pool"][0]),
    )
    write_parquet(predictions, output.predictions)
    write_json(predictors, output.predictors)


with job(snakemake.log[0]):
    main(snakemake.config, snakemake.wildcards, snakemake.input, snakemake.output)
