from importlib import import_module
from pathlib import Path

from testtime.data.samples import read_cells
from testtime.data.store import read_csv, read_json, read_parquet
from testtime.present.figures.style import render
from testtime.runtime.job import job
from testtime.study.layout import CELL_KINDS

READ = {".csv": read_csv, ".json": read_json, ".parquet": read_parquet}


def main(name, inputs, params, output):
    figure = import_module(f"testtime.present.figures.{name}")
    known = {thing: read(thing, paths) for thing, paths in inputs.items() if thing != "code"}
    data = figure.data(**known, **params.settings)
    render(data, figure.draw, table=output.data, images=(output.png, output.pdf))


def read(thing, paths):
    """A figure's input; None if the study does not have it."""
    if not paths:
        return None
    return read_cells(paths) if thing in CELL_KINDS else READ[Path(paths[0]).suffix](*paths)


with job(snakemake.log[0]):
    main(snakemake.wildcards.figure, snakemake.input, snakemake.params, snakemake.output)
