# Samples of a policy: one nested pool per (dataset, policy), a greedy CoT sample, and held-out
# samples from which difficulty is estimated.
rule sample_pool:
    input:
        problems=f"{RESULTS}/problems/{{dataset}}.parquet",
        model=lambda wildcards: get_model_files("policy", wildcards.policy),
    output:
        f"{RESULTS}/generations/{{dataset}}/{{policy}}/{{block}}/{{shard}}.parquet",
    log:
        f"{RESULTS}/logs/generate/{{dataset}}/{{policy}}/{{block}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/generate/{{dataset}}/{{policy}}/{{block}}/{{shard}}.tsv"
    wildcard_constraints:
        policy=f"(?!({get_imported()})/)[^/]+",
    conda:
        lambda wildcards: f"../../envs/{get_policy_engine(wildcards.policy)}.yaml"
    threads: config["threads"]
    resources:
        gpu=lambda wildcards: CATALOG.policy(wildcards.policy).gpus,
        mem_mb=lambda wildcards, attempt: get_memory(attempt, CATALOG.policy(wildcards.policy)),
        runtime=get_generation_minutes,
    params:
        settings=get_generation_settings,
        samples=lambda wildcards: STUDY.block_samples(wildcards.block),
        seed=config["seed"],
        engine=lambda wildcards: get_policy_engine(wildcards.policy),
        format=FORMATS["generate"],
    message:
        "Samples {wildcards.block} of {wildcards.policy} on {wildcards.dataset} ({wildcards.shard})"
    script:
        "../scripts/sample_pool.py"


# Samples that were made elsewhere, cut into the blocks of the pool.
rule import_samples:
    input:
        problems=f"{RESULTS}/problems/{{dataset}}.parquet",
        samples=lambda wildcards: CATALOG.policy(wildcards.policy).samples,
        code=get_code("import_samples"),
    output:
        f"{RESULTS}/generations/{{dataset}}/{{policy}}/{{block}}/{{shard}}.parquet",
    log:
        f"{RESULTS}/logs/generate/{{dataset}}/{{policy}}/{{block}}/{{shard}}.log",
    wildcard_constraints:
        policy=get_imported(),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        **get_import_settings(),
        separator=lambda wildcards: CATALOG.policy(wildcards.policy).separator,
    message:
        "Imported samples {wildcards.block} of {wildcards.policy} on {wildcards.dataset}"
    script:
        "../scripts/import_samples.py"
