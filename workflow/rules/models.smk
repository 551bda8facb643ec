# Problems, and everything that runs a model or replaces it: samples, step scores, searches.
SCORED_ELSEWHERE = [prm for prm in config["prms"] if CATALOG.prm(prm).in_samples]


# Problems, and their answers in a file that only grading reads.
rule make_problems:
    input:
        decided=get_decided("problems"),
        source=lambda wildcards: with_local(STUDY.problem_file(wildcards.dataset)),
    output:
        problems=LAYOUT.pattern("problems"),
        answers=LAYOUT.pattern("answers"),
    log:
        LAYOUT.log("problems"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Problems of {wildcards.dataset}"
    script:
        "../scripts/make_problems.py"


# The microcosm's models, trained from the catalog's recipes (`train:`) where a study asks for it.
rule train_policy:
    output:
        model=directory(LAYOUT.pattern("model")),
    log:
        LAYOUT.log("model"),
    benchmark:
        LAYOUT.benchmark("model")
    wildcard_constraints:
        name=one_of(name for name, spec in CATALOG.policies.items() if spec.train),
    conda:
        "../../envs/transformers.yaml"
    threads: 1
    resources:
        **resources(STUDY, "train_policy"),
    params:
        name=lambda wildcards: wildcards.name,
        recipe=lambda wildcards: CATALOG.policy(wildcards.name).train,
        format=FORMATS["train"],
    message:
        "Training of {wildcards.name}"
    script:
        "../scripts/train_policy.py"


rule train_prm:
    input:
        backbone=lambda wildcards: with_local(
            [STUDY.model_folder(CATALOG.prm(wildcards.name).train["backbone"])]
        )[0],
        policies=lambda wildcards: with_local(
            STUDY.model_folder(policy) for policy in CATALOG.prm(wildcards.name).train["policies"]
        ),
    output:
        model=directory(LAYOUT.pattern("model")),
    log:
        LAYOUT.log("model"),
    benchmark:
        LAYOUT.benchmark("model")
    wildcard_constraints:
        name=one_of(name for name, spec in CATALOG.prms.items() if spec.train),
    conda:
        "../../envs/transformers.yaml"
    threads: 1
    resources:
        **resources(STUDY, "train_prm"),
    params:
        name=lambda wildcards: wildcards.name,
        recipe=lambda wildcards: CATALOG.prm(wildcards.name).train,
        format=FORMATS["train"],
    message:
        "Training of {wildcards.name}"
    script:
        "../scripts/train_prm.py"


# Samples of a policy, its nested pool, a greedy CoT sample and held-out samples for difficulty: all
# files of a (dataset, policy) in one job, or one per shard of problems.
for number, (blocks, policies) in enumerate(STUDY.sampled_together()):

    rule:
        name:
            numbered("sample_pool", number)
        input:
            problems=LAYOUT.pattern("problems"),
            decided=get_decided("generate"),
            model=lambda wildcards: STUDY.trained(wildcards.policy),
        output:
            [LAYOUT.pattern("generations", block=block) for block in blocks],
        log:
            LAYOUT.log("generations", together=TOGETHER["generations"]),
        benchmark:
            LAYOUT.benchmark("generations", together=TOGETHER["generations"])
        wildcard_constraints:
            policy=one_of(policies),
        priority: priority(STUDY, "sample_pool")
        conda:
            lambda wildcards: f"../../envs/{STUDY.engine(CATALOG.policy(wildcards.policy))}.yaml"
        threads: config["threads"]
        resources:
            **resources(STUDY, "sample_pool"),
        message:
            "Samples of {wildcards.policy} on {wildcards.dataset} ({wildcards.shard})"
        script:
            "../scripts/sample_pool.py"


# Imported samples, divided into the blocks of the pool, and the step scores that come with them.
for number, (patterns, policies) in enumerate(STUDY.imported_together()):

    rule:
        name:
            numbered("import_samples", number)
        input:
            problems=LAYOUT.pattern("problems"),
            samples=lambda wildcards: with_local(
                STUDY.given_samples(wildcards.dataset, wildcards.policy)
            ),
            code=get_code("workflow/scripts/import_samples.py"),
        output:
            patterns,
        log:
            LAYOUT.log("generations", together=TOGETHER["generations"]),
        wildcard_constraints:
            policy=one_of(policies),
        localrule: True
        conda:
            "../../envs/analysis.yaml"
        params:
            settings=lambda wildcards: STUDY.import_settings(wildcards.policy),
            separator=lambda wildcards: CATALOG.policy(wildcards.policy).separator,
            thinking=lambda wildcards: STUDY.thinks(wildcards.policy),
            close=lambda wildcards: STUDY.thought_ends(wildcards.policy),
        message:
            "Imported samples of {wildcards.policy} on {wildcards.dataset}"
        script:
            "../scripts/import_samples.py"


# Step scores of a PRM for the samples of a pool, all its blocks in one job.
for number, (blocks, policies) in enumerate(STUDY.scored_together()):

    rule:
        name:
            numbered("score_pool", number)
        input:
            problems=LAYOUT.pattern("problems"),
            decided=get_decided("score"),
            generations=lambda wildcards: STUDY.read_by(**wildcards),
            model=lambda wildcards: STUDY.trained(wildcards.prm),
        output:
            [LAYOUT.pattern("scores", block=block) for block in blocks],
        log:
            LAYOUT.log("scores", together=TOGETHER["scores"]),
        benchmark:
            LAYOUT.benchmark("scores", together=TOGETHER["scores"])
        wildcard_constraints:
            policy=one_of(policies),
            prm=none_of(SCORED_ELSEWHERE),
        priority: priority(STUDY, "score_pool")
        conda:
            lambda wildcards: f"../../envs/{STUDY.engine(CATALOG.prm(wildcards.prm))}.yaml"
        threads: config["threads"]
        resources:
            **resources(STUDY, "score_pool"),
        message:
            "Scores by {wildcards.prm} of {wildcards.policy}'s samples ({wildcards.shard})"
        script:
            "../scripts/score_pool.py"


# Tree searches of a policy with a PRM, every method and budget in one job: beam search once per
# budget, DVTS as one nested pool of subtrees.
for number, (searches, policies) in enumerate(STUDY.searched_together()):

    rule:
        name:
            numbered("search_trees", number)
        input:
            problems=LAYOUT.pattern("problems"),
            decided=get_decided("search"),
            models=lambda wildcards: STUDY.trained(wildcards.policy, wildcards.prm),
        output:
            [LAYOUT.pattern("searches", method=method, block=block) for method, block in searches],
        log:
            LAYOUT.log("searches", together=TOGETHER["searches"]),
        benchmark:
            LAYOUT.benchmark("searches", together=TOGETHER["searches"])
        wildcard_constraints:
            policy=one_of(policies),
        priority: priority(STUDY, "search_trees")
        conda:
            lambda wildcards: f"../../envs/{STUDY.search_environment(wildcards.policy, wildcards.prm)}.yaml"
        threads: config["threads"]
        resources:
            **resources(STUDY, "search_trees"),
        message:
            "Searches of {wildcards.policy} with {wildcards.prm} on {wildcards.dataset}"
            " ({wildcards.shard})"
        script:
            "../scripts/search_trees.py"
