import pandas as pd
from testtime.data.imports import import_scores, select_block
from testtime.data.store import read_parquet, write_parquet
from testtime.runtime.job import job


def main(inputs, params, output):
    ids, settings = read_parquet(inputs.problems)["problem_id"], params.settings
    sizes = {key: settings[key] for key in ("pool", "held_out")}
    how = {"separator": params.separator, "part": settings["part"], "close": params.close}
    found = []
    for path, thinking in zip(inputs.samples, params.thinking or [0], strict=True):
        rows = import_scores(path, ids, params.prm, **how)
        rows = select_block(rows, params.block, **sizes)
        found.append(rows.assign(thinking=thinking) if params.thinking else rows)
    write_parquet(pd.concat(found, ignore_index=True), output)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output[0])
