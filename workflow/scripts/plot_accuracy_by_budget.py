from testtime.present.figures.accuracy_by_budget import (
    accuracy_by_budget_data,
    draw_accuracy_by_budget,
)
from testtime.present.figures.data import read_csv, render
from testtime.runtime.job import job


def main(inputs, params, output):
    data = accuracy_by_budget_data(
        read_csv(inputs.accuracy),
        read_csv(inputs.pass_at_k),
        policies=params.policies,
        prms=params.prms,
        **params.shown,
    )
    render(data, draw_accuracy_by_budget, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
