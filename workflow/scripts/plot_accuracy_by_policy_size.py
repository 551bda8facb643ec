from testtime.present.figures.accuracy_by_policy_size import (
    accuracy_by_policy_size_data,
    draw_accuracy_by_policy_size,
)
from testtime.present.figures.data import read_csv, render
from testtime.runtime.job import job


def main(inputs, params, output):
    data = accuracy_by_policy_size_data(
        read_csv(inputs.accuracy),
        policies=params.policies,
        prms=params.prms,
        budget=params.budget,
        **params.shown,
    )
    render(data, draw_accuracy_by_policy_size, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
