from testtime.job import job
from testtime.tables import read_parquet, write_parquet


def main(outcomes, output):
    write_parquet(read_parquet(*outcomes), output)


with job(snakemake.log[0]):
    main(snakemake.input.outcomes, snakemake.output[0])
