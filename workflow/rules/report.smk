# The study's own report: one self-contained page. (`snakemake --report` works too.)
rule write_report:
    input:
        tables=get_tables(),
        figures=get_figures(),
        grades=for_cells("grades"),
        answers=[f"{RESULTS}/answers/{dataset}.parquet" for dataset in config["datasets"]],
        captions=[of_checkout("workflow", "report", f"{name}.rst") for name in STUDY.figures()],
        page=[
            of_checkout("workflow", "report", f"report.{end}") for end in ("html.j2", "css", "js")
        ],
        code=get_code("write_report"),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report/write_report.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        config=config,
        figures=STUDY.figures(),
        tables=[Path(path).stem for path in get_tables() if path.endswith(".csv")],
    message:
        "Report"
    script:
        "../scripts/write_report.py"
