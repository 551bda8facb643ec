from testtime.present.figures.compute_optimal_curve import (
    compute_optimal_curve_data,
    draw_compute_optimal_curve,
)
from testtime.present.figures.data import best_prm, read_csv, render
from testtime.runtime.job import job


def main(inputs, params, output):
    quality = read_csv(inputs.quality) if inputs.get("quality") else None
    data = compute_optimal_curve_data(
        read_csv(inputs.accuracy),
        read_csv(inputs.compute_optimal),
        policies=params.policies,
        shown_prm=best_prm(quality, params.prms),
        **params.shown,
    )
    render(data, draw_compute_optimal_curve, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
