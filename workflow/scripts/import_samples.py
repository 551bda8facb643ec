from functools import cache, partial

from testtime.data.imports import import_block, import_samples, import_scores
from testtime.data.store import read_parquet, write_parquet
from testtime.runtime.job import job
from testtime.study.layout import identify


def main(inputs, params, outputs):
    sizes = dict(params.settings)
    how = {"separator": params.separator, "part": sizes.pop("part"), "close": params.close}
    how["problem_ids"] = read_parquet(inputs.problems)["problem_id"]

    @cache
    def read(path, prm):
        if prm is None:
            return import_samples(path, **how)
        return import_scores(path, prm=prm, **how)

    for path in outputs:
        names = identify(path)[1]
        of_file = partial(read, prm=names.get("prm"))
        rows = import_block(inputs.samples, params.thinking, of_file, names["block"], **sizes)
        write_parquet(rows, path)


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
