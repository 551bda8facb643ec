# Step scores of a PRM for the samples of a pool.
rule score_pool:
    input:
        problems=f"{RESULTS}/problems/{{dataset}}.parquet",
        generations=f"{RESULTS}/generations/{{dataset}}/{{policy}}/{{block}}/{{shard}}.parquet",
        model=lambda wildcards: get_model_files("prm", wildcards.prm),
    output:
        f"{RESULTS}/scores/{{dataset}}/{{policy}}/{{prm}}/{{block}}/{{shard}}.parquet",
    log:
        f"{RESULTS}/logs/score/{{dataset}}/{{policy}}/{{prm}}/{{block}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/score/{{dataset}}/{{policy}}/{{prm}}/{{block}}/{{shard}}.tsv"
    wildcard_constraints:
        prm=f"(?!({get_imported_prms()})/)[^/]+",
    conda:
        lambda wildcards: f"../../envs/{get_prm_engine(wildcards.prm)}.yaml"
    threads: config["threads"]
    resources:
        gpu=lambda wildcards: CATALOG.prm(wildcards.prm).gpus,
        mem_mb=lambda wildcards, attempt: get_memory(attempt, CATALOG.prm(wildcards.prm)),
        runtime=get_score_minutes,
    params:
        settings=lambda wildcards: get_prm_settings(wildcards.prm),
        engine=lambda wildcards: get_prm_engine(wildcards.prm),
        format=FORMATS["score"],
    message:
        "Scores by {wildcards.prm} of {wildcards.policy}'s {wildcards.block} ({wildcards.shard})"
    script:
        "../scripts/score_pool.py"


# Step scores that stand in the files of samples that were made elsewhere.
rule import_scores:
    input:
        problems=f"{RESULTS}/problems/{{dataset}}.parquet",
        samples=lambda wildcards: CATALOG.policy(wildcards.policy).samples,
        code=get_code("import_scores"),
    output:
        f"{RESULTS}/scores/{{dataset}}/{{policy}}/{{prm}}/{{block}}/{{shard}}.parquet",
    log:
        f"{RESULTS}/logs/score/{{dataset}}/{{policy}}/{{prm}}/{{block}}/{{shard}}.log",
    wildcard_constraints:
        prm=get_imported_prms(),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        **get_import_settings(),
    message:
        "Imported scores by {wildcards.prm} of {wildcards.policy}'s {wildcards.block}"
    script:
        "../scripts/import_scores.py"
