# How good and how biased the PRMs are, and the paper's tables in this study's own numbers.
rule measure_prms:
    input:
        problems=[f"{RESULTS}/problems/{dataset}.parquet" for dataset in config["datasets"]],
        generations=get_first_block(get_generations),
        scores=get_first_block(get_first_scores),
        grades=for_cells("grades"),
        code=get_code("measure_prms"),
    output:
        quality=f"{RESULTS}/tables/prm_quality.csv",
        bias=f"{RESULTS}/tables/prm_bias.csv",
        length=f"{RESULTS}/tables/prm_length.csv",
    log:
        f"{RESULTS}/logs/compare/measure_prms.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare/measure_prms.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        gpu=0,
        mem_mb=get_study_memory,
        runtime=get_fit_minutes,
    params:
        labelled=[d for d in config["datasets"] if CATALOG.dataset(d).source == "microcosm"],
        evaluate=config["evaluate"],
        scoring=config["figures"]["scoring"],
        seed=config["seed"],
    message:
        "Quality and biases of the PRMs"
    script:
        "../scripts/measure_prms.py"


rule compare_strategies:
    input:
        outcomes=rules.collect_outcomes.output[0],
        difficulty=for_cells("difficulty"),
        code=get_code("compare_strategies"),
    output:
        frontier=f"{RESULTS}/tables/frontier.csv",
        overtaking=f"{RESULTS}/tables/overtaking.csv",
        flops=f"{RESULTS}/tables/flops.csv",
        gains=f"{RESULTS}/tables/gains.csv",
        voting=f"{RESULTS}/tables/voting.csv",
    log:
        f"{RESULTS}/logs/compare/compare_strategies.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare/compare_strategies.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        gpu=0,
        mem_mb=get_study_memory,
        runtime=get_fit_minutes,
    params:
        fit=config["fit"],
        evaluate=config["evaluate"],
        seed=config["seed"],
        parameters={policy: get_parameters(policy) for policy in config["policies"]},
    message:
        "Comparisons between policies and strategies"
    script:
        "../scripts/compare_strategies.py"
