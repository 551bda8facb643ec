# Samples of a policy: one nested pool per (dataset, policy), a greedy CoT sample, and held-out
# samples from which difficulty is estimated.
SAMPLED_AS = ("prompt", "separator", "context", "dtype", "max_tokens")
DRAWN_AS = ("temperature", "top_p", "top_k")


def get_block_samples(block):
    """How many samples per problem a block holds."""
    if block == plan.COT:
        return 1
    if block == plan.DIFFICULTY:
        return config["difficulty"]["samples"]
    return len(plan.block_range(block))


def get_generation_shards(dataset, policy, block):
    if is_imported(policy):
        return ["1-of-1"]
    spec = CATALOG.policy(policy)
    return job_shards(
        plan.sampling_seconds(spec, n_problems(dataset), get_block_samples(block)), dataset
    )


def get_generations(dataset, policy, blocks):
    return [
        f"{RESULTS}/generations/{dataset}/{policy}/{block}/{shard}.parquet"
        for block in blocks
        for shard in get_generation_shards(dataset, policy, block)
    ]


def get_generation_settings(wildcards):
    """The part of the catalog that decides what is sampled; greedy CoT ignores the temperature."""
    spec = CATALOG.policy(wildcards.policy)
    names = SAMPLED_AS if wildcards.block == plan.COT else SAMPLED_AS + DRAWN_AS
    return as_params(spec, "model", "revision", *names)


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
    params:
        settings=get_generation_settings,
        samples=lambda wildcards: get_block_samples(wildcards.block),
        seed=config["seed"],
        engine=lambda wildcards: CATALOG.policy(wildcards.policy).engine or config["engine"],
        format=FORMATS["generate"],
    threads: config["threads"]
    resources:
        gpu=lambda wildcards: CATALOG.policy(wildcards.policy).gpus,
        mem_mb=lambda wildcards, attempt: get_memory(attempt, CATALOG.policy(wildcards.policy)),
    message:
        "Samples {wildcards.block} of {wildcards.policy} on {wildcards.dataset} ({wildcards.shard})"
    script:
        "../scripts/sample_pool.py"
