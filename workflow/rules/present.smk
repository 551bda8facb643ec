# What a person looks at: figures, the study's own report, notebooks that read a finished study.
from testtime.present import registry

FIGURES = registry.of_study(registry.figures(), STUDY)


def get_figure(wildcards):
    """What a figure's module declares of it."""
    return registry.figures()[wildcards.figure]


def get_figure_inputs(wildcards):
    """What a figure is made of, and the code that makes it."""
    figure = get_figure(wildcards)
    source = registry.FIGURES / f"{wildcards.figure}.py"
    files = {name: STUDY.paths_of(name) for name in (*figure.inputs, *figure.optional)}
    return files | {"code": get_code("draw_figure", source)}


def get_figure_settings(wildcards):
    """What a figure is told of the study: what it asks for."""
    return {name: STUDY.setting(name) for name in get_figure(wildcards).settings}


def get_figures():
    """Every file of every figure."""
    ends = ("{}.png", "{}.pdf", "data/{}.csv")
    return [f"{RESULTS}/figures/{end.format(name)}" for name in FIGURES for end in ends]


# A figure from its module; it is drawn from its data file alone.
rule draw_figure:
    input:
        unpack(get_figure_inputs),
    output:
        png=report(
            f"{RESULTS}/figures/{{figure}}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels=lambda wildcards: {"figure": get_figure(wildcards).title},
        ),
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        data=f"{RESULTS}/figures/data/{{figure}}.csv",
    log:
        f"{RESULTS}/logs/figures/{{figure}}.log",
    wildcard_constraints:
        figure="|".join(registry.figures()),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=get_figure_settings,
        caption=lambda wildcards: get_figure(wildcards).caption,
    message:
        "Figure: {wildcards.figure}"
    script:
        "../scripts/draw_figure.py"


# The study's own report: one self-contained page. (`snakemake --report` works too.)
rule write_report:
    input:
        tables=get_tables(),
        figures=get_figures(),
        grades=for_cells("grades"),
        answers=[f"{RESULTS}/answers/{dataset}.parquet" for dataset in config["datasets"]],
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
        figures=list(FIGURES),
        tables=[Path(path).stem for path in get_tables() if path.endswith(".csv")],
    message:
        "Report"
    script:
        "../scripts/write_report.py"


# The notebooks' copies with outputs are kept beside the table that each ends with.
SMALLEST = min(STUDY.setting("policies"), key=STUDY.setting("policies").get)


# One problem: what was drawn, how each step was scored, what each method answered.
rule walk_through_problem:
    input:
        outcomes=f"{RESULTS}/tables/outcomes.parquet",
        problems=f"{RESULTS}/problems/{config['datasets'][0]}.parquet",
        answers=f"{RESULTS}/answers/{config['datasets'][0]}.parquet",
        grades=f"{RESULTS}/grades/{config['datasets'][0]}/{SMALLEST}.parquet",
        difficulty=f"{RESULTS}/difficulty/{config['datasets'][0]}/{SMALLEST}.parquet",
        quality=STUDY.paths_of("prm_quality"),
        code=get_code("one_problem"),
    output:
        f"{RESULTS}/notebooks/one_problem.csv",
    log:
        notebook=f"{RESULTS}/notebooks/one_problem.ipynb",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        dataset=config["datasets"][0],
        policy=SMALLEST,
        shown=config["figures"],
    message:
        "Notebook: one problem"
    notebook:
        "../../notebooks/one_problem.ipynb"


# The compute-optimal choice, derived again from the outcomes in plain pandas.
rule derive_compute_optimal:
    input:
        outcomes=f"{RESULTS}/tables/outcomes.parquet",
        difficulty=for_cells("difficulty"),
        table=f"{RESULTS}/tables/compute_optimal.csv",
        code=get_code("compute_optimal"),
    output:
        f"{RESULTS}/notebooks/compute_optimal.csv",
    log:
        notebook=f"{RESULTS}/notebooks/compute_optimal.ipynb",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        fit=config["fit"],
        seed=config["seed"],
    message:
        "Notebook: the compute-optimal choice derived again"
    notebook:
        "../../notebooks/compute_optimal.ipynb"


# This study's numbers beside the paper's.
rule compare_with_paper:
    input:
        tables=[
            f"{RESULTS}/tables/{table}.csv"
            for table in ("frontier", "overtaking", "gains", "compute_optimal")
        ],
        code=get_code("published"),
    output:
        f"{RESULTS}/notebooks/published.csv",
    log:
        notebook=f"{RESULTS}/notebooks/published.ipynb",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Notebook: beside the paper"
    notebook:
        "../../notebooks/published.ipynb"
