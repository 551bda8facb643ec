from testtime.data.samples import read_generations, read_scores, whole_thoughts
from testtime.data.store import read_parquet, write_json, write_parquet
from testtime.fit.cells import Settings
from testtime.fit.predict import predict_cell
from testtime.runtime.job import job


def main(inputs, params, output):
    scores = whole_thoughts(read_scores(inputs.scores)) if inputs.scores else None
    by_prm = dict(list(scores.groupby("prm"))) if scores is not None else {}
    difficulty = params.settings["difficulty"]
    predictions, predictors = predict_cell(
        whole_thoughts(read_generations(inputs.generations)),
        whole_thoughts(read_parquet(inputs.grades)),
        by_prm,
        read_parquet(inputs.difficulty),
        Settings.of_study(params.settings),
        dataset=params.dataset,
        policy=params.policy,
        easy=difficulty["easy"],
        hard=difficulty["hard"],
        n_probe=params.n_probe,
    )
    write_parquet(predictions, output.predictions)
    write_json(predictors, output.predictors)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
