from testtime.data.store import read_parquet, write_parquet
from testtime.runtime.job import job


def main(outcomes, output):
    write_parquet(read_parquet(*outcomes), output)


with job(snakemake.log[0]):
    main(snakemake.input.outcomes, snakemake.output[0])
