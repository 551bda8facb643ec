from testtime.data.imports import import_samples, select_block
from testtime.data.store import read_parquet, write_parquet
from testtime.runtime.job import job


def main(inputs, block, params, output):
    ids = read_parquet(inputs.problems)["problem_id"]
    rows = import_samples(inputs.samples, ids, separator=params.separator, part=params.part)
    chosen = select_block(rows, block, pool=params.pool, held_out=params.held_out)
    write_parquet(chosen, output)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.wildcards.block, snakemake.params, snakemake.output[0])
