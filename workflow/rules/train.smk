# The microcosm's models, trained from the catalog's recipes (`train:`) where a study asks for it.
rule train_policy:
    output:
        model=directory(f"{RESULTS}/models/{{name}}"),
    log:
        f"{RESULTS}/logs/train/{{name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{name}}.tsv"
    wildcard_constraints:
        name=get_trained(CATALOG.policies),
    conda:
        "../../envs/transformers.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: limit_memory(2 * attempt),
        runtime=get_training_minutes,
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
        backbone=lambda wildcards: get_model_folder(CATALOG.prm(wildcards.name).train["backbone"]),
        policies=lambda wildcards: [
            get_model_folder(policy) for policy in CATALOG.prm(wildcards.name).train["policies"]
        ],
    output:
        model=directory(f"{RESULTS}/models/{{name}}"),
    log:
        f"{RESULTS}/logs/train/{{name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{name}}.tsv"
    wildcard_constraints:
        name=get_trained(CATALOG.prms),
    conda:
        "../../envs/transformers.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=lambda wildcards, attempt: limit_memory(2 * attempt),
        runtime=get_training_minutes,
    params:
        name=lambda wildcards: wildcards.name,
        recipe=lambda wildcards: CATALOG.prm(wildcards.name).train,
        format=FORMATS["train"],
    message:
        "Training of {wildcards.name}"
    script:
        "../scripts/train_prm.py"
