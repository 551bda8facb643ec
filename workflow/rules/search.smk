# Tree searches: beam search once per budget; DVTS as one nested pool of subtrees.
def get_search_blocks(method):
    budgets = config["budgets"]["search"]
    return plan.blocks(budgets) if METHODS[method].nested else [str(b) for b in budgets]


def get_block_budget(block):
    """Candidates per step that a search block adds, the N of its cost."""
    return len(plan.block_range(block)) if "-" in block else int(block)


def get_search_shards(dataset, policy, block):
    spec = CATALOG.policy(policy)
    seconds = plan.sampling_seconds(spec, n_problems(dataset), get_block_budget(block))
    # A PRM of about the policy's size reads what the policy writes.
    return job_shards(2 * seconds, dataset)


def get_searches(dataset, policy):
    return [
        f"{RESULTS}/searches/{dataset}/{policy}/{prm}/{method}/{block}/{shard}.parquet"
        for prm in config["prms"]
        for method in get_tree_methods()
        for block in get_search_blocks(method)
        for shard in get_search_shards(dataset, policy, block)
        if not is_imported(policy)
    ]


def get_search_settings(wildcards):
    spec = CATALOG.policy(wildcards.policy)
    policy = as_params(
        spec, "model", "revision", *SAMPLED_AS, *DRAWN_AS, "step_tokens", "max_steps"
    )
    return {"policy": policy, "prm": get_prm_settings(wildcards.prm)}


def get_search_gpus(wildcards):
    """GPUs of policy and PRM together: each keeps its own, side by side."""
    return CATALOG.policy(wildcards.policy).gpus + CATALOG.prm(wildcards.prm).gpus


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
    params:
        settings=get_search_settings,
        beam_width=config["beam_width"],
        seed=config["seed"],
        engine=config["engine"],
        format=FORMATS["search"],
    threads: config["threads"]
    resources:
        gpu=lambda wildcards: get_search_gpus(wildcards),
        mem_mb=lambda wildcards, attempt: get_memory(
            attempt, CATALOG.policy(wildcards.policy), CATALOG.prm(wildcards.prm)
        ),
    message:
        "{wildcards.method} {wildcards.block} of {wildcards.policy} with {wildcards.prm}"
        " on {wildcards.dataset} ({wildcards.shard})"
    script:
        "../scripts/search_trees.py"
