# Step scores of a PRM for the samples of a pool.
def get_scores(dataset, policy, prms, blocks):
    return [
        f"{RESULTS}/scores/{dataset}/{policy}/{prm}/{block}/{shard}.parquet"
        for prm in prms
        for block in blocks
        for shard in get_generation_shards(dataset, policy, block)
    ]


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
    params:
        settings=lambda wildcards: get_prm_settings(wildcards.prm),
        engine=lambda wildcards: CATALOG.prm(wildcards.prm).engine or config["engine"],
        format=FORMATS["score"],
    threads: config["threads"]
    resources:
        gpu=lambda wildcards: CATALOG.prm(wildcards.prm).gpus,
        mem_mb=lambda wildcards, attempt: get_memory(attempt, CATALOG.prm(wildcards.prm)),
    message:
        "Scores by {wildcards.prm} of {wildcards.policy}'s {wildcards.block} ({wildcards.shard})"
    script:
        "../scripts/score_pool.py"
