# Which files the study consists of, and what each rule reads.
def for_cells(stage):
    """The stage's file of every (dataset, policy)."""
    return [f"{RESULTS}/{stage}/{dataset}/{policy}.parquet" for dataset, policy in STUDY.cells()]


def get_problem_file(wildcards):
    """The file that a dataset's problems come from; none where they are generated or the hub's."""
    spec = CATALOG.dataset(wildcards.dataset)
    return spec.path if spec.source == "file" else []


def get_imported():
    """A pattern of the policies whose samples come from files; matches nothing where none do."""
    names = [re.escape(policy) for policy in config["policies"] if STUDY.is_imported(policy)]
    return "|".join(names) or "(?!)"


def get_imported_prms():
    """A pattern of the PRMs whose scores come from files; matches nothing where none do."""
    names = [re.escape(prm) for prm in config["prms"] if CATALOG.prm(prm).in_samples]
    return "|".join(names) or "(?!)"


def get_import_settings():
    """Which samples of a file are the pool, which are held out, and whether all problems are used."""
    return {
        "pool": lambda wildcards: STUDY.pool_budgets(wildcards.policy)[-1],
        "held_out": config["difficulty"]["samples"],
        "part": config["problems"]["limit"] is not None,
    }


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
        "generations": get_generations(
            wildcards.dataset, wildcards.policy, STUDY.all_blocks(wildcards.policy)
        ),
        "searches": get_searches(wildcards.dataset, wildcards.policy),
    }


def get_evaluated(wildcards):
    cell = (wildcards.dataset, wildcards.policy)
    cot = [COT] if "cot" in config["methods"] else []
    blocks = STUDY.pool_blocks(wildcards.policy)
    return {
        "generations": get_generations(*cell, cot + blocks),
        "scores": get_scores(*cell, config["prms"], blocks) if STUDY.has_scores() else [],
        "searches": get_searches(*cell),
    }


def get_scored():
    """All that a PRM has read, in the pools and in the searches."""
    found = {"generations": [], "scores": [], "searches": []}
    for cell in STUDY.cells():
        blocks = STUDY.pool_blocks(cell[1]) if STUDY.has_scores() else []
        found["generations"] += get_generations(*cell, blocks)
        found["scores"] += get_scores(*cell, config["prms"], blocks)
        found["searches"] += get_searches(*cell)
    return found


def get_first_scores(dataset, policy, blocks):
    return get_scores(dataset, policy, config["prms"], blocks)


def get_first_block(get):
    """The files of the pool's first block, for what a few samples per problem tell."""
    return [
        path
        for dataset, policy in STUDY.cells()
        for path in get(dataset, policy, STUDY.pool_blocks(policy)[:1])
    ]


def get_probed(wildcards):
    """The first samples of the pool, with what each PRM thinks of them."""
    cell = (wildcards.dataset, wildcards.policy)
    block = STUDY.pool_blocks(wildcards.policy)[:1]
    return {
        "generations": get_generations(*cell, block),
        "scores": get_scores(*cell, config["prms"], block) if STUDY.has_scores() else [],
    }


def get_tables():
    """The tables that a study ends with."""
    names = ["outcomes.parquet", "accuracy.csv", "pass_at_k.csv", "compute_optimal.csv"]
    names += ["choices.csv", "binnings.csv", "transfer.csv", "calibration.csv", "voting.csv"]
    names += ["by_cost.csv"]
    if STUDY.has_cross_check():
        names += ["grade_disagreements.csv"]
    if "cot" in config["methods"]:
        names += ["frontier.csv", "overtaking.csv", "flops.csv", "gains.csv"]
    if STUDY.has_scores():
        names += ["prm_quality.csv", "prm_bias.csv", "prm_length.csv"]
    if STUDY.is_scored():
        names += ["unscored.csv"]
    return [f"{RESULTS}/tables/{name}" for name in names] + [f"{RESULTS}/lookup.json"]


def get_notebooks():
    """What the notebooks end with."""
    return [f"{RESULTS}/notebooks/{name}.csv" for name in STUDY.notebooks()]
