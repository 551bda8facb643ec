# The compute-optimal choice per context: cross-fitted, beside the published in-sample one.
rule fit_lookup:
    input:
        outcomes=rules.collect_outcomes.output[0],
        difficulty=for_cells("difficulty"),
        predictions=for_cells("predicted"),
        predictors=[path.replace(".parquet", ".json") for path in for_cells("predicted")],
        quality=f"{RESULTS}/tables/prm_quality.csv" if STUDY.has_quality() else [],
        code=get_code("fit_lookup"),
    output:
        table=f"{RESULTS}/tables/compute_optimal.csv",
        choices=f"{RESULTS}/tables/choices.csv",
        binnings=f"{RESULTS}/tables/binnings.csv",
        transfer=f"{RESULTS}/tables/transfer.csv",
        calibration=f"{RESULTS}/tables/calibration.csv",
        by_cost=f"{RESULTS}/tables/by_cost.csv",
        lookup=f"{RESULTS}/lookup.json",
    log:
        f"{RESULTS}/logs/fit/fit_lookup.log",
    benchmark:
        f"{RESULTS}/benchmarks/fit/fit_lookup.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        gpu=0,
        mem_mb=get_study_memory,
        runtime=get_fit_minutes,
    params:
        study=config["study"],
        fit=config["fit"],
        evaluate=config["evaluate"],
        difficulty=config["difficulty"],
        seed=config["seed"],
        parameters={policy: get_parameters(policy) for policy in config["policies"]},
        rates=get_rates(),
    message:
        "Compute-optimal choices and the lookup"
    script:
        "../scripts/fit_lookup.py"
