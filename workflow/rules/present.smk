# Results for people: figures, the study's own report, notebooks that read a finished study.


# A figure from its module; it is drawn from its data file alone.
rule draw_figure:
    input:
        unpack(get_figure_inputs),
    output:
        png=report(
            LAYOUT.pattern("figure"),
            caption="../report/figure.rst",
            category="Figures",
            labels=lambda wildcards: {"figure": FIGURES[wildcards.figure].title},
        ),
        pdf=LAYOUT.pattern("figure_pdf"),
        data=LAYOUT.pattern("figure_data"),
    log:
        LAYOUT.log("figure"),
    wildcard_constraints:
        figure=one_of(FIGURES),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=lambda wildcards: STUDY.settings(*FIGURES[wildcards.figure].settings),
        caption=lambda wildcards: FIGURES[wildcards.figure].caption,
    message:
        "Figure: {wildcards.figure}"
    script:
        "../scripts/draw_figure.py"


# The study's own report: one self-contained page. (`snakemake --report` works too.)
rule write_report:
    input:
        tables=TABLE_FILES,
        figures=FIGURE_FILES,
        grades=STUDY.paths_of("grades"),
        answers=STUDY.paths_of("answers"),
        problems=fetched(STUDY.paths_of("problems")),
        texts=fetched([path for cell in STUDY.cells() for path in STUDY.texts(*cell)]),
        page=with_local(
            from_here(Path(workflow.basedir).resolve() / f"workflow/report/report.{end}")
            for end in ("html.j2", "css", "js")
        ),
        code=get_code("workflow/scripts/write_report.py"),
    output:
        LAYOUT.pattern("report"),
    log:
        LAYOUT.log("report"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        config=config,
        figures=list(FIGURES),
        tables=[name for facts in TABLES.values() for name in facts.tables],
    message:
        "Report"
    script:
        "../scripts/write_report.py"


# The executed notebooks are kept beside the table that each produces.
# One problem: what was drawn, how each step was scored, what each method answered.
rule walk_through_problem:
    input:
        outcomes=LAYOUT.path("outcomes"),
        problems=LAYOUT.path("problems", dataset=config["datasets"][0]),
        answers=LAYOUT.path("answers", dataset=config["datasets"][0]),
        grades=LAYOUT.path("grades", dataset=config["datasets"][0], policy=STUDY.smallest()),
        difficulty=LAYOUT.path("difficulty", dataset=config["datasets"][0], policy=STUDY.smallest()),
        texts=fetched(STUDY.texts(config["datasets"][0], STUDY.smallest())),
        quality=STUDY.paths_of("prm_quality") if STUDY.has("quality") else [],
        notebook=local(from_here(Path(workflow.basedir).resolve() / "notebooks/one_problem.ipynb")),
        code=get_code("workflow/scripts/run_notebook.py", "notebooks/one_problem.ipynb"),
    output:
        LAYOUT.path("notebook_table", notebook="one_problem"),
    log:
        LAYOUT.path("log", stage="notebooks", job="one_problem"),
        notebook=LAYOUT.path("notebook", notebook="one_problem"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        dataset=config["datasets"][0],
        policy=STUDY.smallest(),
        shown=config["figures"],
    message:
        "Notebook: one problem"
    script:
        "../scripts/run_notebook.py"


# The compute-optimal choice, derived again from the outcomes in plain pandas.
rule derive_compute_optimal:
    input:
        outcomes=LAYOUT.path("outcomes"),
        difficulty=STUDY.paths_of("difficulty"),
        table=LAYOUT.path("table", table="compute_optimal"),
        notebook=local(
            from_here(Path(workflow.basedir).resolve() / "notebooks/compute_optimal.ipynb")
        ),
        code=get_code("workflow/scripts/run_notebook.py", "notebooks/compute_optimal.ipynb"),
    output:
        LAYOUT.path("notebook_table", notebook="compute_optimal"),
    log:
        LAYOUT.path("log", stage="notebooks", job="compute_optimal"),
        notebook=LAYOUT.path("notebook", notebook="compute_optimal"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        fit=config["fit"],
        seed=config["seed"],
    message:
        "Notebook: the compute-optimal choice derived again"
    script:
        "../scripts/run_notebook.py"


# This study's numbers beside the paper's.
rule compare_with_paper:
    input:
        frontier=LAYOUT.path("table", table="frontier"),
        overtaking=LAYOUT.path("table", table="overtaking"),
        gains=LAYOUT.path("table", table="gains"),
        compute_optimal=LAYOUT.path("table", table="compute_optimal"),
        published=with_local(STUDY.paths_of("published")),
        notebook=local(from_here(Path(workflow.basedir).resolve() / "notebooks/published.ipynb")),
        code=get_code("workflow/scripts/run_notebook.py", "notebooks/published.ipynb"),
    output:
        LAYOUT.path("notebook_table", notebook="published"),
    log:
        LAYOUT.path("log", stage="notebooks", job="published"),
        notebook=LAYOUT.path("notebook", notebook="published"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Notebook: beside the paper"
    script:
        "../scripts/run_notebook.py"
