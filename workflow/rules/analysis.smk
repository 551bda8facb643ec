# From texts to tables: grades, outcomes, difficulty, and every table of the registry.
# What waits for the lookup takes longest: its inputs come before other tables, and all of these
# before figures and notebooks.


# Right or wrong, and which answers are the same: each distinct (problem, answer) once per policy.
rule grade_samples:
    input:
        unpack(lambda wildcards: STUDY.graded(**wildcards)),
        answers=LAYOUT.pattern("answers"),
        code=get_code("workflow/scripts/grade_samples.py"),
    output:
        LAYOUT.pattern("grades"),
    log:
        LAYOUT.log("grades"),
    benchmark:
        LAYOUT.benchmark("grades")
    priority: 2
    conda:
        "../../envs/analysis.yaml"
    threads: config["grade"]["workers"]
    resources:
        **resources(STUDY, "grade_samples"),
    params:
        convention=lambda wildcards: CATALOG.dataset(wildcards.dataset).convention,
        limits=config["grade"],
    message:
        "Grades of {wildcards.policy} on {wildcards.dataset}"
    script:
        "../scripts/grade_samples.py"


# How hard each problem is for each policy: Pass@1 in absolute and in equally large bins.
rule estimate_difficulty:
    input:
        grades=LAYOUT.pattern("grades"),
        code=get_code("workflow/scripts/estimate_difficulty.py"),
    output:
        LAYOUT.pattern("difficulty"),
    log:
        LAYOUT.log("difficulty"),
    priority: 2
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        difficulty=config["difficulty"],
    message:
        "Difficulty of {wildcards.dataset} for {wildcards.policy}"
    script:
        "../scripts/estimate_difficulty.py"


# Difficulty predicted from the first few samples, for problems without an answer key.
rule predict_difficulty:
    input:
        unpack(lambda wildcards: STUDY.probed(**wildcards)),
        grades=LAYOUT.pattern("grades"),
        difficulty=LAYOUT.pattern("difficulty"),
        code=get_code("workflow/scripts/predict_difficulty.py"),
    output:
        predictions=LAYOUT.pattern("predictions"),
        predictors=LAYOUT.pattern("predictors"),
    log:
        LAYOUT.log("predictions", ".predicted"),
    benchmark:
        LAYOUT.benchmark("predictions")
    priority: 2
    conda:
        "../../envs/analysis.yaml"
    resources:
        **resources(STUDY, "predict_difficulty"),
    params:
        dataset=lambda wildcards: wildcards.dataset,
        policy=lambda wildcards: wildcards.policy,
        n_probe=lambda wildcards: min(4, *STUDY.pool_budgets(wildcards.policy)),
        settings=STUDY.settings("fit", "evaluate", "difficulty", "seed"),
    message:
        "Predicted difficulty of {wildcards.dataset} for {wildcards.policy}"
    script:
        "../scripts/predict_difficulty.py"


# Expected correctness and cost of every strategy on every problem.
rule evaluate_policy:
    input:
        unpack(lambda wildcards: STUDY.evaluated(**wildcards)),
        grades=LAYOUT.pattern("grades"),
        code=get_code("workflow/scripts/evaluate_policy.py", *STUDY.weighing_modules()),
    output:
        LAYOUT.pattern("cell_outcomes"),
    log:
        LAYOUT.log("cell_outcomes"),
    benchmark:
        LAYOUT.benchmark("cell_outcomes")
    priority: 2
    conda:
        "../../envs/analysis.yaml"
    resources:
        **resources(STUDY, "evaluate_policy"),
    params:
        dataset=lambda wildcards: wildcards.dataset,
        policy=lambda wildcards: wildcards.policy,
        parameters=lambda wildcards: CATALOG.policy(wildcards.policy).parameters,
        pool_budgets=lambda wildcards: STUDY.pool_budgets(wildcards.policy),
        search_budgets=lambda wildcards: STUDY.budgets("search", wildcards.policy),
        methods=lambda wildcards: STUDY.methods(wildcards.policy),
        greedy_cot=lambda wildcards: CATALOG.policy(wildcards.policy).cot_samples is None,
        subsets=config["evaluate"]["subsets"],
        speeds=lambda wildcards: STUDY.speeds(wildcards.policy),
        settings=STUDY.settings("prm_parameters", "scorings", "votes", "beam_width", "seed"),
    message:
        "Outcomes of {wildcards.policy} on {wildcards.dataset}"
    script:
        "../scripts/evaluate_policy.py"


# The tables: a rule for each module of `testtime.present.tables` that the study can fill.
for name, facts in TABLES.items():

    rule:
        name:
            f"tabulate_{name}"
        input:
            **get_inputs(facts),
            code=get_code(
                "workflow/scripts/make_tables.py", f"workflow/testtime/present/tables/{name}.py"
            ),
        output:
            **registry.files_of(facts, STUDY),
        log:
            LAYOUT.path("log", stage=facts.stage, job=f"tabulate_{name}"),
        benchmark:
            LAYOUT.path("benchmark", stage=facts.stage, job=f"tabulate_{name}")
        priority: 1
        localrule: not facts.heavy
        conda:
            "../../envs/analysis.yaml"
        threads: config["grade"]["workers"] if facts.stage == "grade" else 1
        resources:
            **resources(STUDY, f"tabulate_{name}"),
        params:
            made_by=name,
            settings=STUDY.settings(*facts.settings),
        message:
            f"Tables: {', '.join((*facts.tables, *facts.files))}"
        script:
            "../scripts/make_tables.py"
