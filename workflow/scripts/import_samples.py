from functools import partial

from testtime.data.imports import import_block, import_samples
from testtime.data.store import read_parquet, write_parquet
from testtime.runtime.job import job


def main(inputs, params, output):
    ids, settings = read_parquet(inputs.problems)["problem_id"], params.settings
    sizes = {key: settings[key] for key in ("pool", "held_out", "chains")}
    how = {"separator": params.separator, "part": settings["part"], "close": params.close}
    read = partial(import_samples, problem_ids=ids, **how)
    rows = import_block(inputs.samples, params.thinking, read, params.block, **sizes)
    write_parquet(rows, output)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output[0])
