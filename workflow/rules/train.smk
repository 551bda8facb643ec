# The microcosm's models, trained from the catalog's recipes (`train:`) where a study asks for it.
def get_trained(specs):
    """A pattern of the names that have a recipe; one that matches nothing where none has."""
    return "|".join(re.escape(name) for name, spec in specs.items() if spec.train) or "(?!)"


def get_model_folder(name):
    """A policy's folder: trained by this study, or one that exists."""
    spec = CATALOG.policy(name)
    return f"{RESULTS}/models/{name}" if spec.train else str(spec.folder)


rule train_policy:
    output:
        model=directory(f"{RESULTS}/models/{{name}}"),
    log:
        f"{RESULTS}/logs/train/{{name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{name}}.tsv"
    wildcard_constraints:
        name=get_trained(CATALOG.policies),
    params:
        name=lambda wildcards: wildcards.name,
        recipe=lambda wildcards: CATALOG.policy(wildcards.name).train,
        format=FORMATS["train"],
    threads: 1
    resources:
        mem_mb=2048,
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
    params:
        name=lambda wildcards: wildcards.name,
        recipe=lambda wildcards: CATALOG.prm(wildcards.name).train,
        format=FORMATS["train"],
    threads: 1
    resources:
        mem_mb=2048,
    message:
        "Training of {wildcards.name}"
    script:
        "../scripts/train_prm.py"
