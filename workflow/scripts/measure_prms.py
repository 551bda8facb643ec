from testtime.compare.prm_bias import Resampling, bias_table, length_table
from testtime.compare.prm_quality import label_samples, quality_table
from testtime.data.microcosm import label_steps
from testtime.data.samples import read_cells, read_generations, read_scores
from testtime.data.store import read_parquet, write_csv
from testtime.runtime.job import job

KEYS = ["dataset", "policy", "problem_id", "sample"]


def main(inputs, params, output):
    drawn = read_generations(inputs.generations)
    samples = read_scores(inputs.scores).merge(drawn.drop(columns="block"), on=KEYS)
    grades = read_cells(inputs.grades)
    grades = grades[grades["method"] == "pool"].rename(columns={"path": "sample"})
    graded = samples.merge(grades[[*KEYS, "correct"]], on=KEYS)
    graded["correct"] = graded["correct"].fillna(False).astype(int)
    evaluate = params.evaluate
    resampling = Resampling(evaluate["bootstrap"], evaluate["confidence"], params.seed)
    budgets = [2**i for i in range(int(drawn["sample"].max() + 1).bit_length())]
    write_csv(bias_table(graded, params.scoring, resampling), output.bias)
    write_csv(length_table(graded, budgets, params.scoring, resampling), output.length)

    # Only the microcosm knows which steps are right.
    known = samples[samples["dataset"].isin(params.labelled)]
    labelled = label_samples(read_parquet(*inputs.problems), known, label_steps)
    table = quality_table(
        labelled,
        bootstrap=evaluate["bootstrap"],
        confidence=evaluate["confidence"],
        seed=params.seed,
    )
    write_csv(table, output.quality)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
