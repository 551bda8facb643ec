# Tree searches: beam search once per budget; DVTS as one nested pool of subtrees.
rule search_trees:
    input:
        problems=f"{RESULTS}/problems/{{dataset}}.parquet",
        policy=lambda wildcards: get_model_files("policy", wildcards.policy),
        prm=lambda wildcards: get_model_files("prm", wildcards.prm),
    output:
        f"{RESULTS}/searches/{{dataset}}/{{policy}}/{{prm}}/{{method}}/{{block}}/{{shard}}.parquet",
    log:
        f"{RESULTS}/logs/search/{{dataset}}/{{policy}}/{{prm}}/{{method}}/{{block}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/search/{{dataset}}/{{policy}}/{{prm}}/{{method}}/{{block}}/{{shard}}.tsv"
    conda:
        lambda wildcards: f"../../envs/{get_search_engine(wildcards)}.yaml"
    threads: config["threads"]
    resources:
        gpu=lambda wildcards: STUDY.search_gpus(wildcards.policy, wildcards.prm),
        mem_mb=lambda wildcards, attempt: get_memory(
            attempt, CATALOG.policy(wildcards.policy), CATALOG.prm(wildcards.prm)
        ),
        runtime=get_search_minutes,
    params:
        settings=get_search_settings,
        beam_width=config["beam_width"],
        seed=config["seed"],
        engine=lambda wildcards: [
            get_policy_engine(wildcards.policy),
            get_prm_engine(wildcards.prm),
        ],
        format=FORMATS["search"],
    message:
        "{wildcards.method} {wildcards.block} of {wildcards.policy} with {wildcards.prm}"
        " on {wildcards.dataset} ({wildcards.shard})"
    script:
        "../scripts/search_trees.py"
