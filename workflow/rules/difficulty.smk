# How hard each problem is for each policy: Pass@1 in absolute and in equally large bins.
rule estimate_difficulty:
    input:
        grades=f"{RESULTS}/grades/{{dataset}}/{{policy}}.parquet",
        code=package("difficulty.py") + [script("estimate_difficulty")],
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
