from testtime.present.figures.data import read_csv, render
from testtime.present.figures.prm_quality import draw_prm_quality, prm_quality_data
from testtime.runtime.job import job


def main(inputs, params, output):
    data = prm_quality_data(
        read_csv(inputs.compute_optimal),
        read_csv(inputs.quality),
        policies=params.policies,
        prms=params.prms,
        budget=params.budget,
    )
    render(data, draw_prm_quality, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
