from testtime.present.figures.data import read_csv, render
from testtime.present.figures.small_vs_large import (
    draw_small_vs_large,
    published_points,
    small_vs_large_data,
)
from testtime.runtime.job import job


def main(inputs, params, output):
    data = small_vs_large_data(
        read_csv(inputs.frontier), policies=params.policies, published=published_points()
    )
    render(data, draw_small_vs_large, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
