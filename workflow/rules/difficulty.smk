# How hard each problem is for each policy: Pass@1 in absolute and in equally large bins.
rule estimate_difficulty:
    input:
        grades=f"{RESULTS}/grades/{{dataset}}/{{policy}}.parquet",
        code=get_code("estimate_difficulty"),
    output:
        f"{RESULTS}/difficulty/{{dataset}}/{{policy}}.parquet",
    log:
        f"{RESULTS}/logs/difficulty/{{dataset}}/{{policy}}.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        difficulty=config["difficulty"],
    message:
        "Difficulty of {wildcards.dataset} for {wildcards.policy}"
    script:
        "../scripts/estimate_difficulty.py"


# Difficulty as the first few samples tell it, for problems without an answer key.
rule predict_difficulty:
    input:
        unpack(get_probed),
        grades=f"{RESULTS}/grades/{{dataset}}/{{policy}}.parquet",
        difficulty=f"{RESULTS}/difficulty/{{dataset}}/{{policy}}.parquet",
        code=get_code("predict_difficulty"),
    output:
        predictions=f"{RESULTS}/predicted/{{dataset}}/{{policy}}.parquet",
        predictors=f"{RESULTS}/predicted/{{dataset}}/{{policy}}.json",
    log:
        f"{RESULTS}/logs/difficulty/{{dataset}}/{{policy}}.predicted.log",
    benchmark:
        f"{RESULTS}/benchmarks/difficulty/{{dataset}}/{{policy}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        gpu=0,
        mem_mb=get_cell_memory,
        runtime=get_evaluation_minutes,
    params:
        fit=config["fit"],
        difficulty=config["difficulty"],
        seed=config["seed"],
    message:
        "Predicted difficulty of {wildcards.dataset} for {wildcards.policy}"
    script:
        "../scripts/predict_difficulty.py"
