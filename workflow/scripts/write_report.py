from testtime.present.report.page import write_report
from testtime.runtime.job import job
from testtime.study import catalog
from testtime.study.study import Study


def main(config, figures, tables, output):
    study = Study(config, catalog.of_study(config))
    print(write_report(study, output, figures=figures, tables=tables).headline)


with job(snakemake.log[0]):
    main(
        snakemake.config,
        snakemake.params.figures,
        snakemake.params.tables,
        snakemake.output[0],
    )
