# Figures: each has one rule, one script and one data file, from which alone it is drawn.
# Small policies with compute-optimal TTS against larger policies' CoT.
rule plot_small_vs_large:
    input:
        frontier=f"{RESULTS}/tables/frontier.csv",
        code=get_code("plot_small_vs_large"),
    output:
        **figure("small_vs_large"),
    log:
        f"{RESULTS}/logs/figures/small_vs_large.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
    message:
        "Figure: small policies against large ones"
    script:
        "../scripts/plot_small_vs_large.py"


# The TTS methods as a diagram.
rule plot_methods_diagram:
    input:
        code=get_code("plot_methods_diagram"),
    output:
        **figure("methods_diagram"),
    log:
        f"{RESULTS}/logs/figures/methods_diagram.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    message:
        "Figure: the methods"
    script:
        "../scripts/plot_methods_diagram.py"


# Distribution of Pass@1: why difficulty has absolute thresholds.
rule plot_pass_at_1_distribution:
    input:
        difficulty=for_cells("difficulty"),
        code=get_code("plot_pass_at_1_distribution"),
    output:
        **figure("pass_at_1_distribution"),
    log:
        f"{RESULTS}/logs/figures/pass_at_1_distribution.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
        easy=config["difficulty"]["easy"],
        hard=config["difficulty"]["hard"],
    message:
        "Figure: distribution of Pass@1"
    script:
        "../scripts/plot_pass_at_1_distribution.py"


# Accuracy against budget, a panel per policy and PRM.
rule plot_accuracy_by_budget:
    input:
        accuracy=f"{RESULTS}/tables/accuracy.csv",
        pass_at_k=f"{RESULTS}/tables/pass_at_k.csv",
        code=get_code("plot_accuracy_by_budget"),
    output:
        **figure("accuracy_by_budget"),
    log:
        f"{RESULTS}/logs/figures/accuracy_by_budget.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
        prms=config["prms"],
        shown=SHOWN,
    message:
        "Figure: accuracy by budget"
    script:
        "../scripts/plot_accuracy_by_budget.py"


# Compute-optimal accuracy against the PRM's ability to judge steps.
rule plot_prm_quality:
    input:
        compute_optimal=f"{RESULTS}/tables/compute_optimal.csv",
        quality=f"{RESULTS}/tables/prm_quality.csv",
        code=get_code("plot_prm_quality"),
    output:
        **figure("prm_quality"),
    log:
        f"{RESULTS}/logs/figures/prm_quality.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
        prms=config["prms"],
        budget=HEADLINE,
    message:
        "Figure: accuracy by PRM quality"
    script:
        "../scripts/plot_prm_quality.py"


# Accuracy against the policy's size.
rule plot_accuracy_by_policy_size:
    input:
        accuracy=f"{RESULTS}/tables/accuracy.csv",
        code=get_code("plot_accuracy_by_policy_size"),
    output:
        **figure("accuracy_by_policy_size"),
    log:
        f"{RESULTS}/logs/figures/accuracy_by_policy_size.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
        prms=config["prms"],
        budget=HEADLINE,
        shown=SHOWN,
    message:
        "Figure: accuracy by policy size"
    script:
        "../scripts/plot_accuracy_by_policy_size.py"


# Accuracy against budget by difficulty level.
rule plot_accuracy_by_difficulty:
    input:
        **get_prm_quality(),
        accuracy=f"{RESULTS}/tables/accuracy.csv",
        code=get_code("plot_accuracy_by_difficulty"),
    output:
        **figure("accuracy_by_difficulty"),
    log:
        f"{RESULTS}/logs/figures/accuracy_by_difficulty.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
        prms=config["prms"],
        shown=SHOWN,
    message:
        "Figure: accuracy by difficulty"
    script:
        "../scripts/plot_accuracy_by_difficulty.py"


# Best-of-N under every scoring and vote.
rule plot_voting_ablation:
    input:
        voting=f"{RESULTS}/tables/voting.csv",
        code=get_code("plot_voting_ablation"),
    output:
        **figure("voting_ablation"),
    log:
        f"{RESULTS}/logs/figures/voting_ablation.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
        prms=config["prms"],
        budget=HEADLINE,
    message:
        "Figure: scoring and voting"
    script:
        "../scripts/plot_voting_ablation.py"


# Lengths that PRMs prefer, scores of wrong answers by length.
rule plot_prm_biases:
    input:
        length=f"{RESULTS}/tables/prm_length.csv",
        bias=f"{RESULTS}/tables/prm_bias.csv",
        code=get_code("plot_prm_biases"),
    output:
        **figure("prm_biases"),
    log:
        f"{RESULTS}/logs/figures/prm_biases.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
        prms=config["prms"],
    message:
        "Figure: biases of PRMs"
    script:
        "../scripts/plot_prm_biases.py"


# Compute-optimal TTS by budget and by FLOPs.
rule plot_compute_optimal_curve:
    input:
        **get_prm_quality(),
        accuracy=f"{RESULTS}/tables/accuracy.csv",
        compute_optimal=f"{RESULTS}/tables/compute_optimal.csv",
        code=get_code("plot_compute_optimal_curve"),
    output:
        **figure("compute_optimal_curve"),
    log:
        f"{RESULTS}/logs/figures/compute_optimal_curve.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
        prms=config["prms"],
        shown=SHOWN,
    message:
        "Figure: compute-optimal TTS"
    script:
        "../scripts/plot_compute_optimal_curve.py"


# What the same FLOPs buy with each policy.
rule plot_accuracy_by_flops:
    input:
        by_cost=f"{RESULTS}/tables/by_cost.csv",
        accuracy=f"{RESULTS}/tables/accuracy.csv",
        code=get_code("plot_accuracy_by_flops"),
    output:
        **figure("accuracy_by_flops"),
    log:
        f"{RESULTS}/logs/figures/accuracy_by_flops.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
    message:
        "Figure: accuracy by FLOPs"
    script:
        "../scripts/plot_accuracy_by_flops.py"


# The lookup: policy × budget × difficulty -> strategy.
rule plot_lookup_heatmap:
    input:
        lookup=f"{RESULTS}/lookup.json",
        code=get_code("plot_lookup_heatmap"),
    output:
        **figure("lookup_heatmap"),
    log:
        f"{RESULTS}/logs/figures/lookup_heatmap.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        policies=SIZES,
    message:
        "Figure: the lookup"
    script:
        "../scripts/plot_lookup_heatmap.py"
