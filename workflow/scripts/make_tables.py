from importlib import import_module

from testtime.data.store import write_csv, write_json, write_parquet
from testtime.runtime.job import job

WRITERS = {".csv": write_csv, ".json": write_json, ".parquet": write_parquet}


def main(module, inputs, settings, outputs):
    made = import_module(f"testtime.present.tables.{module}").make(inputs, settings)
    for name, path in outputs.items():
        WRITERS[path[path.rindex(".") :]](made[name], path)


with job(snakemake.log[0]):
    main(
        snakemake.params.made_by,
        {name: list(paths) for name, paths in snakemake.input.items() if name != "code"},
        snakemake.params.settings,
        dict(snakemake.output.items()),
    )
