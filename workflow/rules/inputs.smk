# Which files the study consists of, and what each rule reads.
def get_cells():
    """Every (dataset, policy) of the study."""
    return [(dataset, policy) for dataset in config["datasets"] for policy in config["policies"]]


def for_cells(stage):
    """The stage's file of every (dataset, policy)."""
    return [f"{RESULTS}/{stage}/{dataset}/{policy}.parquet" for dataset, policy in get_cells()]


def n_problems(dataset):
    """Problems of a dataset that the study uses, known before any of them is read."""
    size = CATALOG.dataset(dataset).size
    return min(size, config["problems"]["limit"] or size)


def job_shards(seconds, dataset):
    return plan.shard_names(n_problems(dataset), seconds, 3600 * config["jobs"]["hours"])


def get_pool_budgets(policy):
    held_out = config["difficulty"]["samples"]
    return plan.pool_budgets(CATALOG.policy(policy), config["budgets"]["pool"], held_out)


def get_pool_blocks(policy):
    return plan.blocks(get_pool_budgets(policy))


def get_all_blocks(policy):
    """Pool, greedy CoT and held-out samples: what is drawn of a policy."""
    cot = [plan.COT] if "cot" in config["methods"] else []
    held_out = [plan.DIFFICULTY] if config["difficulty"]["samples"] else []
    return [*cot, *get_pool_blocks(policy), *held_out]


def get_tree_methods():
    return [method for method in config["methods"] if method in METHODS]


def is_imported(policy):
    return CATALOG.policy(policy).samples is not None


def get_imported():
    """A pattern of the policies whose samples come from files; matches nothing where none do."""
    names = [re.escape(policy) for policy in config["policies"] if is_imported(policy)]
    return "|".join(names) or "(?!)"


def get_imported_prms():
    """A pattern of the PRMs whose scores come from files; matches nothing where none do."""
    names = [re.escape(prm) for prm in config["prms"] if CATALOG.prm(prm).in_samples]
    return "|".join(names) or "(?!)"


def get_import_settings():
    """Which samples of a file are the pool, which are held out, and whether all problems are used."""
    return {
        "pool": lambda wildcards: get_pool_budgets(wildcards.policy)[-1],
        "held_out": config["difficulty"]["samples"],
        "part": config["problems"]["limit"] is not None,
    }


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


def get_scores(dataset, policy, prms, blocks):
    return [
        f"{RESULTS}/scores/{dataset}/{policy}/{prm}/{block}/{shard}.parquet"
        for prm in prms
        for block in blocks
        for shard in get_generation_shards(dataset, policy, block)
    ]


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


def get_samples(wildcards):
    """Every text of a policy that has an answer in it."""
    return {
        "generations": get_generations(
            wildcards.dataset, wildcards.policy, get_all_blocks(wildcards.policy)
        ),
        "searches": get_searches(wildcards.dataset, wildcards.policy),
    }


def get_evaluated(wildcards):
    cell = (wildcards.dataset, wildcards.policy)
    cot = [plan.COT] if "cot" in config["methods"] else []
    blocks = get_pool_blocks(wildcards.policy)
    return {
        "generations": get_generations(*cell, cot + blocks),
        "scores": get_scores(*cell, config["prms"], blocks) if has_scores() else [],
        "searches": get_searches(*cell),
    }


def get_first_scores(dataset, policy, blocks):
    return get_scores(dataset, policy, config["prms"], blocks)


def get_first_block(get):
    """The files of the pool's first block, for what a few samples per problem tell."""
    return [
        path
        for dataset, policy in get_cells()
        for path in get(dataset, policy, get_pool_blocks(policy)[:1])
    ]


def get_tables():
    """The tables that a study ends with."""
    names = ["outcomes.parquet", "accuracy.csv", "pass_at_k.csv", "compute_optimal.csv"]
    names += ["choices.csv", "binnings.csv", "transfer.csv", "calibration.csv", "voting.csv"]
    names += ["by_cost.csv"]
    if any(CATALOG.dataset(dataset).convention != "exact" for dataset in config["datasets"]):
        names += ["grade_disagreements.csv"]
    if "cot" in config["methods"]:
        names += ["frontier.csv", "overtaking.csv", "flops.csv", "gains.csv"]
    if has_scores():
        names += ["prm_quality.csv", "prm_bias.csv", "prm_length.csv"]
    return [f"{RESULTS}/tables/{name}" for name in names] + [f"{RESULTS}/lookup.json"]


def get_notebooks():
    """What the notebooks end with; comparing with the paper takes CoT."""
    names = ["one_problem", "compute_optimal"]
    names += ["published"] if "cot" in config["methods"] else []
    return [f"{RESULTS}/notebooks/{name}.csv" for name in names]


def get_probed(wildcards):
    """The first samples of the pool, with what each PRM thinks of them."""
    cell = (wildcards.dataset, wildcards.policy)
    block = get_pool_blocks(wildcards.policy)[:1]
    return {
        "generations": get_generations(*cell, block),
        "scores": get_scores(*cell, config["prms"], block) if has_scores() else [],
    }


def has_scores():
    """Whether PRMs score the pool."""
    return "best_of_n" in config["methods"] and bool(config["prms"])


def has_quality():
    """Whether PRMs can be measured: there are scores, and a dataset whose steps are labelled."""
    return has_scores() and any(
        CATALOG.dataset(dataset).source == "microcosm" for dataset in config["datasets"]
    )
