import json
from pathlib import Path

from testtime.present.figures.data import render
from testtime.present.figures.lookup_heatmap import draw_lookup_heatmap, lookup_heatmap_data
from testtime.runtime.job import job


def main(inputs, params, output):
    lookup = json.loads(Path(inputs.lookup).read_text(encoding="utf-8"))
    data = lookup_heatmap_data(lookup, policies=params.policies)
    render(data, draw_lookup_heatmap, table=output.data, images=(output.png, output.pdf))


with job(snakemake.log[0]):
    main(snakemake.input, snakemake.params, snakemake.output)
