# Right or wrong, and which answers are the same: each distinct (problem, answer) once per policy.
rule grade_samples:
    input:
        unpack(get_samples),
        answers=f"{RESULTS}/answers/{{dataset}}.parquet",
        code=package("grade") + [script_file("grade_samples")],
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
        mem_mb=get_cell_memory,
        runtime=get_grading_minutes,
    params:
        convention=lambda wildcards: CATALOG.dataset(wildcards.dataset).convention,
        limits=config["grade"],
    message:
        "Grades of {wildcards.policy} on {wildcards.dataset}"
    script:
        "../scripts/grade_samples.py"
