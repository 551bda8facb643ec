# Right or wrong, and which answers are the same: each distinct (problem, answer) once per policy.
def get_samples(wildcards):
    """Every text of a policy that has an answer in it."""
    return {
        "generations": get_generations(wildcards.dataset, wildcards.policy, get_all_blocks()),
        "searches": get_searches(wildcards.dataset, wildcards.policy),
    }


rule grade_samples:
    input:
        unpack(get_samples),
        answers=f"{RESULTS}/answers/{{dataset}}.parquet",
        code=package("grade") + [script("grade_samples")],
    output:
        f"{RESULTS}/grades/{{dataset}}/{{policy}}.parquet",
    log:
        f"{RESULTS}/logs/grade/{{dataset}}/{{policy}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/grade/{{dataset}}/{{policy}}.tsv"
    params:
        convention=lambda wildcards: CATALOG.dataset(wildcards.dataset).convention,
        limits=config["grade"],
    threads: config["grade"]["workers"]
    message:
        "Grades of {wildcards.policy} on {wildcards.dataset}"
    script:
        "../scripts/grade_samples.py"
