from testtime.present.figures.data import read_csv, render
from testtime.present.figures.voting_ablation import draw_voting_ablation, voting_ablation_data
from testtime.runtime.job import job


def main(inputs, params, output):
    data = voting_ablation_data(
        read_csv(inputs.voting),
        policies=params.policies,
        prms=params.prms,
        budget=params.budget,
    )
    render(data, draw_voting_ablation, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
