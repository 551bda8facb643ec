from testtime.present.figures.data import render
from testtime.present.figures.methods_diagram import draw_methods_diagram, methods_diagram_data
from testtime.runtime.job import job


def main(output):
    render(
        methods_diagram_data(),
        draw_methods_diagram,
        table=output.data,
        images=(output.png, output.pdf),
    )


with job(snakemake.log[0]):
    main(snakemake.output)
