from testtime.present.figures.accuracy_by_flops import (
    accuracy_by_flops_data,
    draw_accuracy_by_flops,
)
from testtime.present.figures.data import read_csv, render
from testtime.runtime.job import job


def main(inputs, policies, output):
    data = accuracy_by_flops_data(
        read_csv(inputs.by_cost), read_csv(inputs.accuracy), policies=policies
    )
    render(data, draw_accuracy_by_flops, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params.policies, snakemake.output)
