from testtime.evaluate.unscored import unscored_table
from testtime.job import job
from testtime.tables import write_csv


def main(inputs, output):
    write_csv(unscored_table(inputs.generations, inputs.scores, inputs.searches), output)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.output[0])
