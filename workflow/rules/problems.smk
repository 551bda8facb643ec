# Problems and, in a file that only `grade` reads, their answers.
rule make_problems:
    input:
        source=get_problem_file,
    output:
        problems=f"{RESULTS}/problems/{{dataset}}.parquet",
        answers=f"{RESULTS}/answers/{{dataset}}.parquet",
    log:
        f"{RESULTS}/logs/problems/{{dataset}}.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        dataset=lambda wildcards: asdict(CATALOG.dataset(wildcards.dataset)),
        seed=config["seed"],
        limit=config["problems"]["limit"],
        format=FORMATS["problems"],
    message:
        "Problems of {wildcards.dataset}"
    script:
        "../scripts/make_problems.py"
