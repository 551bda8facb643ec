# Notebooks that read a finished study. The copy with outputs is kept beside the table it ends with.
# One problem: what was drawn, how each step was scored, what each method answered.
rule walk_through_problem:
    input:
        outcomes=f"{RESULTS}/tables/outcomes.parquet",
        problems=f"{RESULTS}/problems/{config['datasets'][0]}.parquet",
        answers=f"{RESULTS}/answers/{config['datasets'][0]}.parquet",
        grades=f"{RESULTS}/grades/{config['datasets'][0]}/{SMALLEST}.parquet",
        difficulty=f"{RESULTS}/difficulty/{config['datasets'][0]}/{SMALLEST}.parquet",
        quality=f"{RESULTS}/tables/prm_quality.csv" if STUDY.has_quality() else [],
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
        shown=SHOWN,
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
