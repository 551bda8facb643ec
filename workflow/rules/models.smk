# Models: their files, and the settings that decide what they put out.
SAMPLED_AS = ("prompt", "separator", "context", "dtype", "max_tokens")
# Weights, and what a tokenizer, a chat template and defaults of sampling are in.
MODEL_FILES = {".safetensors", ".json", ".jinja", ".model", ".txt"}
DRAWN_AS = ("temperature", "top_p", "top_k")


def get_trained(specs):
    """A pattern of the names that have a recipe; one that matches nothing where none has."""
    return "|".join(re.escape(name) for name, spec in specs.items() if spec.train) or "(?!)"


def get_model_folder(name):
    """A policy's folder: trained by this study, or one that exists."""
    spec = CATALOG.policy(name)
    return f"{RESULTS}/models/{name}" if spec.train else str(spec.folder)


def get_model_files(kind, name):
    """What a model's jobs depend on: its files, where they are a local folder or trained here."""
    spec = CATALOG.policy(name) if kind == "policy" else CATALOG.prm(name)
    if spec.train is not None:
        return [f"{RESULTS}/models/{name}"]
    if spec.folder is None:
        return []
    return sorted(str(path) for path in spec.folder.glob("*") if path.suffix in MODEL_FILES)


def get_policy_engine(policy):
    return STUDY.engine(CATALOG.policy(policy))


def get_prm_engine(prm):
    return STUDY.engine(CATALOG.prm(prm))


def get_search_engine(wildcards):
    """The environment of a search: vllm's can run transformers too, not the other way round."""
    engines = {get_policy_engine(wildcards.policy), get_prm_engine(wildcards.prm)}
    return "vllm" if "vllm" in engines else "transformers"


def get_prm_settings(prm):
    return as_params(CATALOG.prm(prm), "model", "revision", "format", "context", "dtype")


def get_parameters(policy):
    """Weights of the policy and of each PRM, the P of FLOPs = 2·P·tokens."""
    return {
        "policy": CATALOG.policy(policy).parameters,
        "prms": {prm: CATALOG.prm(prm).parameters for prm in config["prms"]},
    }


def get_rates():
    """Tokens per second of every model, which turn tokens into seconds."""
    specs = [CATALOG.policy(name) for name in config["policies"]]
    specs += [CATALOG.prm(name) for name in config["prms"]]
    return {spec.name: spec.rate for spec in specs}


def get_generation_settings(wildcards):
    """The part of the catalog that decides what is sampled; greedy CoT ignores the temperature."""
    spec = CATALOG.policy(wildcards.policy)
    names = SAMPLED_AS if wildcards.block == COT else SAMPLED_AS + DRAWN_AS
    return as_params(spec, "model", "revision", *names)


def get_search_settings(wildcards):
    spec = CATALOG.policy(wildcards.policy)
    policy = as_params(
        spec, "model", "revision", *SAMPLED_AS, *DRAWN_AS, "step_tokens", "max_steps"
    )
    return {"policy": policy, "prm": get_prm_settings(wildcards.prm)}
