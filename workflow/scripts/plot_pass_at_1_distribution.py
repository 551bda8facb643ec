from testtime.data.samples import read_cells
from testtime.present.figures.data import render
from testtime.present.figures.pass_at_1_distribution import (
    draw_pass_at_1_distribution,
    pass_at_1_distribution_data,
)
from testtime.runtime.job import job


def main(inputs, params, output):
    data = pass_at_1_distribution_data(
        read_cells(inputs.difficulty),
        policies=params.policies,
        easy=params.easy,
        hard=params.hard,
    )
    render(data, draw_pass_at_1_distribution, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
