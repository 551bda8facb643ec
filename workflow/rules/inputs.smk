# Which files the study consists of, and what each rule reads.
def for_cells(stage):
    """The stage's file of every (dataset, policy)."""
    return [f"{RESULTS}/{stage}/{dataset}/{policy}.parquet" for dataset, policy in STUDY.cells()]


def get_imported():
    """A pattern of the policies whose samples come from files; matches nothing where none do."""
    names = [re.escape(policy) for policy in config["policies"] if STUDY.is_imported(policy)]
    return "|".join(names) or "(?!)"


def get_generations(dataset, policy, blocks):
    return [
        f"{RESULTS}/generations/{dataset}/{policy}/{block}/{shard}.parquet"
        for block in blocks
        for shard in STUDY.generation_shards(dataset, policy, block)
    ]


def get_scores(dataset, policy, prms, blocks):
    return [
        f"{RESULTS}/scores/{dataset}/{policy}/{prm}/{block}/{shard}.parquet"
        for prm in prms
        for block in blocks
        for shard in STUDY.generation_shards(dataset, policy, block)
    ]


def get_searches(dataset, policy):
    return [
        f"{RESULTS}/searches/{'/'.join(cell)}/{shard}.parquet"
        for cell in STUDY.searches(dataset, policy)
        for shard in STUDY.search_shards(*cell)
    ]


def get_samples(wildcards):
    """Every text of a policy that has an answer in it."""
    return {
        "generations": get_generations(wildcards.dataset, wildcards.policy, STUDY.all_blocks()),
        "searches": get_searches(wildcards.dataset, wildcards.policy),
    }


def get_evaluated(wildcards):
    cell = (wildcards.dataset, wildcards.policy)
    cot = [plan.COT] if "cot" in config["methods"] else []
    blocks = STUDY.pool_blocks()
    return {
        "generations": get_generations(*cell, cot + blocks),
        "scores": get_scores(*cell, config["prms"], blocks) if STUDY.has_scores() else [],
        "searches": get_searches(*cell),
    }


def get_scored():
    """All that a PRM has read, in the pools and in the searches."""
    cells, blocks = STUDY.cells(), STUDY.pool_blocks() if STUDY.has_scores() else []
    return {
        "generations": [path for cell in cells for path in get_generations(*cell, blocks)],
        "scores": [path for cell in cells for path in get_scores(*cell, config["prms"], blocks)],
        "searches": [path for cell in cells for path in get_searches(*cell)],
    }


def get_first_scores(dataset, policy, blocks):
    return get_scores(dataset, policy, config["prms"], blocks)


def get_first_block(get):
    """The files of the pool's first block, for what a few samples per problem tell."""
    first = STUDY.pool_blocks()[:1]
    return [path for cell in STUDY.cells() for path in get(*cell, first)]


def get_probed(wildcards):
    """The first samples of the pool, with what each PRM thinks of them."""
    cell = (wildcards.dataset, wildcards.policy)
    block = STUDY.pool_blocks()[:1]
    return {
        "generations": get_generations(*cell, block),
        "scores": get_scores(*cell, config["prms"], block) if STUDY.has_scores() else [],
    }


def get_tables():
    """The tables that a study ends with."""
    names = ["outcomes.parquet", "accuracy.csv", "pass_at_k.csv", "compute_optimal.csv"]
    names += ["choices.csv", "binnings.csv", "transfer.csv", "calibration.csv", "voting.csv"]
    if "cot" in config["methods"]:
        names += ["frontier.csv", "overtaking.csv", "flops.csv", "gains.csv"]
    if STUDY.has_scores():
        names += ["prm_quality.csv", "prm_bias.csv", "prm_length.csv"]
    if STUDY.has_scores() or STUDY.tree_methods():
        names += ["unscored.csv"]
    return [f"{RESULTS}/tables/{name}" for name in names] + [f"{RESULTS}/lookup.json"]
