from pathlib import Path

from testtime.present.report.page import write_report
from testtime.runtime.job import job


def main(config, results, figures, tables, output):
    finding = write_report(results, config, output, figures=figures, tables=tables)
    print(finding.headline)


with job(snakemake.log[0]):
    main(
        snakemake.config,
        Path(snakemake.output[0]).parent,
        snakemake.params.figures,
        snakemake.params.tables,
        snakemake.output[0],
    )
