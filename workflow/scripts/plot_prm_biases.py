from testtime.present.figures.data import read_csv, render
from testtime.present.figures.prm_biases import draw_prm_biases, prm_biases_data
from testtime.runtime.job import job


def main(inputs, params, output):
    data = prm_biases_data(
        read_csv(inputs.length),
        read_csv(inputs.bias),
        policies=params.policies,
        prms=params.prms,
    )
    render(data, draw_prm_biases, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
