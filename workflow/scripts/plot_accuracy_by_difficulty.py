from testtime.present.figures.accuracy_by_difficulty import (
    accuracy_by_difficulty_data,
    draw_accuracy_by_difficulty,
)
from testtime.present.figures.data import best_prm, read_csv, render
from testtime.runtime.job import job


def main(inputs, params, output):
    quality = read_csv(inputs.quality) if inputs.get("quality") else None
    data = accuracy_by_difficulty_data(
        read_csv(inputs.accuracy),
        policies=params.policies,
        prms=params.prms,
        shown_prm=best_prm(quality, params.prms),
        **params.shown,
    )
    render(data, draw_accuracy_by_difficulty, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
