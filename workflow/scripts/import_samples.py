from testtime.data.imports import import_samples, select_block
from testtime.data.store import read_parquet, write_parquet
from testtime.runtime.job import job


def main(inputs, params, output):
    ids, settings = read_parquet(inputs.problems)["problem_id"], params.settings
    rows = import_samples(inputs.samples, ids, separator=params.separator, part=settings["part"])
    sizes = {key: settings[key] for key in ("pool", "held_out", "chains")}
    chosen = select_block(rows, params.block, **sizes)
    write_parquet(chosen, output)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output[0])
