from testtime.data.store import write_csv
from testtime.evaluate.tables import unscored_table
from testtime.runtime.job import job


def main(inputs, output):
    write_csv(unscored_table(inputs.generations, inputs.scores, inputs.searches), output)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.output[0])
