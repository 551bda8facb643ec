from testtime.present.report.page import write_report
from testtime.runtime.job import job
from testtime.study.study import study_of


def main(config, figures, tables, output):
    study = study_of(config, output)
    print(write_report(study, output, figures=figures, tables=tables).headline)


with job(snakemake.log[0]):
    main(
        snakemake.config,
        snakemake.params.figures,
        snakemake.params.tables,
        snakemake.output[0],
    )
