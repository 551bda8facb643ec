# Right or wrong, and which answers are the same: each distinct (problem, answer) once per policy.
rule grade_samples:
    input:
        unpack(get_samples),
        answers=f"{RESULTS}/answers/{{dataset}}.parquet",
        code=get_code("grade_samples"),
    output:
        f"{RESULTS}/grades/{{dataset}}/{{policy}}.parquet",
    log:
        f"{RESULTS}/logs/grade/{{dataset}}/{{policy}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/grade/{{dataset}}/{{policy}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: config["grade"]["workers"]
    resources:
        gpu=0,
        mem_mb=get_grading_memory,
        runtime=get_grading_minutes,
    params:
        convention=lambda wildcards: CATALOG.dataset(wildcards.dataset).convention,
        limits=config["grade"],
    message:
        "Grades of {wildcards.policy} on {wildcards.dataset}"
    script:
        "../scripts/grade_samples.py"


# What math-verify, called plainly, says of the same answers: where it differs, a person may look.
rule cross_check_grades:
    input:
        grades=for_cells("grades"),
        answers=[f"{RESULTS}/answers/{dataset}.parquet" for dataset in config["datasets"]],
        code=get_code("cross_check_grades"),
    output:
        f"{RESULTS}/tables/grade_disagreements.csv",
    log:
        f"{RESULTS}/logs/grade/cross_check_grades.log",
    benchmark:
        f"{RESULTS}/benchmarks/grade/cross_check_grades.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: config["grade"]["workers"]
    resources:
        gpu=0,
        mem_mb=get_study_memory,
        runtime=get_cross_check_minutes,
    params:
        conventions={name: CATALOG.dataset(name).convention for name in config["datasets"]},
        limits=config["grade"],
    message:
        "Grades on which math-verify disagrees"
    script:
        "../scripts/cross_check_grades.py"
