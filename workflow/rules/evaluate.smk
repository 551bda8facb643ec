# Expected correctness and cost of every strategy on every problem, and the tables they fill.
rule evaluate_policy:
    input:
        unpack(get_evaluated),
        grades=f"{RESULTS}/grades/{{dataset}}/{{policy}}.parquet",
        code=get_code("evaluate_policy"),
    output:
        f"{RESULTS}/outcomes/{{dataset}}/{{policy}}.parquet",
    log:
        f"{RESULTS}/logs/evaluate/{{dataset}}/{{policy}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{dataset}}/{{policy}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        gpu=0,
        mem_mb=get_cell_memory,
        runtime=get_evaluation_minutes,
    params:
        budgets=lambda wildcards: STUDY.budgets(wildcards.policy),
        methods=config["methods"],
        scorings=config["scorings"],
        votes=config["votes"],
        beam_width=config["beam_width"],
        subsets=config["evaluate"]["subsets"],
        seed=config["seed"],
        parameters=lambda wildcards: get_parameters(wildcards.policy),
    message:
        "Outcomes of {wildcards.policy} on {wildcards.dataset}"
    script:
        "../scripts/evaluate_policy.py"


rule collect_outcomes:
    input:
        outcomes=for_cells("outcomes"),
        code=get_code("collect_outcomes"),
    output:
        f"{RESULTS}/tables/outcomes.parquet",
    log:
        f"{RESULTS}/logs/evaluate/collect_outcomes.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Outcomes of the study"
    script:
        "../scripts/collect_outcomes.py"


rule tabulate_accuracy:
    input:
        outcomes=rules.collect_outcomes.output[0],
        difficulty=for_cells("difficulty"),
        code=get_code("tabulate_accuracy"),
    output:
        f"{RESULTS}/tables/accuracy.csv",
    log:
        f"{RESULTS}/logs/evaluate/tabulate_accuracy.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        evaluate=config["evaluate"],
        seed=config["seed"],
    message:
        "Accuracy of every strategy by difficulty"
    script:
        "../scripts/tabulate_accuracy.py"


rule tabulate_pass_at_k:
    input:
        grades=for_cells("grades"),
        code=get_code("tabulate_pass_at_k"),
    output:
        f"{RESULTS}/tables/pass_at_k.csv",
    log:
        f"{RESULTS}/logs/evaluate/tabulate_pass_at_k.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        evaluate=config["evaluate"],
        budgets=config["budgets"]["pool"],
        seed=config["seed"],
    message:
        "Pass@k of every policy"
    script:
        "../scripts/tabulate_pass_at_k.py"


# Steps beyond a PRM's context, which have no score.
rule count_unscored:
    input:
        **get_scored(),
        code=get_code("count_unscored"),
    output:
        f"{RESULTS}/tables/unscored.csv",
    log:
        f"{RESULTS}/logs/evaluate/count_unscored.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Steps that a PRM could not read"
    script:
        "../scripts/count_unscored.py"
