"""What a job of each rule does, and the resources it requests from a scheduler.

Estimates come from the catalog's rates and the amount of work, and grow with each attempt, up to
what `jobs:` allows. `testtime plan` adds up the same estimates over the jobs of Snakemake's DAG.
"""

from collections.abc import Callable, MutableMapping
from math import ceil

from testtime.study import memory, work
from testtime.study.conventions import MOST_CHECKED
from testtime.study.methods import METHODS
from testtime.study.study import Study
from testtime.study.work import ANSWER_TOKENS, Work

LEAST_GB = 2  # of an analysis job, beside its texts or rows in memory
BYTES_PER_TOKEN, BYTES_PER_ROW = 10, 2000
BYTES_PER_THOUGHT_TOKEN = 90  # ids and log-probabilities of traces, in rows and beside them

# What some executor plugins read instead: our name, and theirs by it and the profile's value.
OTHER_NAMES: dict[str, tuple[str, Callable[[int, int | str], int | str]]] = {
    "lsf_extra": ("gpu", lambda gpus, options: f"{options} -gpu num={gpus}".strip()),
    "request_gpus": ("gpu", lambda gpus, _: gpus),  # HTCondor
    "htcondor_request_mem_mb": ("mem_mb", lambda memory, _: memory),
}


def job_work(study: Study, rule: str, **wildcards: str) -> Work:
    """What a job does.

    Args:
        study: that it is part of.
        rule: its rule's name.
        wildcards: its wildcards.
    """
    match rule:
        case "train_policy" | "train_prm":
            job = work.training(study.recipes()[wildcards["name"]])
        case "sample_pool":
            job = study.drawing(**wildcards)
        case "score_pool":
            job = study.scoring(**wildcards)
        case "search_trees":
            job = study.searching(**wildcards)
        case "grade_samples":
            job = work.grading(tokens(study, **wildcards))
        case "evaluate_policy" | "predict_difficulty":
            share = 1 if rule == "evaluate_policy" else 2
            job = work.evaluating(texts(study, **wildcards) // share)
        case "tabulate_grade_disagreements":
            read = [texts(study, *cell) for cell in study.cells()]
            checked = sum(min(n, MOST_CHECKED) for n in read)
            job = work.checking(sum(read), checked, study.config["grade"]["workers"])
        case "tabulate_lookup":
            job = work.fitting(outcome_rows(study))
        case "tabulate_comparisons" | "tabulate_prms" | "tabulate_voting":
            job = work.fitting(outcome_rows(study) // 8)
        case "draw_figure" | "write_report":
            job = Work(start_seconds=work.FIGURE_SECONDS)
        case "walk_through_problem" | "derive_compute_optimal" | "compare_with_paper":
            job = Work(start_seconds=work.NOTEBOOK_SECONDS)
        case _:
            job = Work(start_seconds=work.SCRIPT_SECONDS)
    return job


def resources(study: Study, rule: str) -> dict[str, Callable | int]:
    """The resources of a rule: gpu, mem_mb and runtime (minutes), as functions of its wildcards.

    A job without GPUs has no resource `gpu`: Kubernetes takes any number, 0 too, for a request.
    """

    def runtime(wildcards, attempt: int) -> int:
        job = job_work(study, rule, **wildcards)
        return job.minutes(attempt, study.config["jobs"]["max_hours"])

    def gpu(wildcards) -> int | None:
        return job_work(study, rule, **wildcards).gpus or None

    def mem_mb(wildcards, attempt: int) -> int:
        most = study.config["jobs"]["max_memory_gb"]
        return int(1024 * min(attempt * memory_gb(study, rule, **wildcards), most))

    return {"gpu": gpu, "mem_mb": mem_mb, "runtime": runtime}


def translate(known: MutableMapping) -> None:
    """Give a rule's resources the names that a scheduler reads, where its profile lists them.

    Args:
        known: the resources of a rule of Snakemake, the profile's `default-resources` among them.
            Those of `OTHER_NAMES` follow ours from here on, in jobs that have ours.
    """
    for name, (ours, spell) in OTHER_NAMES.items():
        if name in known and ours in known:
            known[name] = _spelled(known[ours], known[name], spell)


def _spelled(ours, profiles, spell: Callable) -> Callable[..., int | str]:
    """A resource of Snakemake under another name; the profile's value in jobs without it."""

    def value(wildcards, input, attempt, threads, rulename, async_run) -> int | str:
        facts = {"input": input, "attempt": attempt, "threads": threads}
        facts |= {"rulename": rulename, "async_run": async_run}
        given, default = (r.evaluate(wildcards, **facts).value for r in (ours, profiles))
        return default if given is None else spell(given, default)

    return value


def priority(study: Study, rule: str) -> Callable:
    """The priority of a model's jobs, as a function of their wildcards: the longest first.

    A job that others wait for counts with the longest of them, so that cores end together.
    """

    def seconds(wildcards) -> int:
        own = job_work(study, rule, **wildcards)
        waiting = [0.0]
        if rule == "sample_pool":
            cell = (wildcards.dataset, wildcards.policy)
            shards, prms = len(study.shards(*cell)), study.scorers(wildcards.policy)
            waiting += [study.scoring(*cell, prm).seconds / shards for prm in prms]
        return 1 + int(own.start_seconds + own.seconds + max(waiting))

    return seconds


def memory_gb(study: Study, rule: str, **wildcards: str) -> float:
    """Gigabytes of RAM of a job at its first attempt."""
    catalog = study.catalog
    match rule:
        case "train_policy" | "train_prm":
            return 2
        case "sample_pool":
            models = [catalog.policy(wildcards["policy"])]
        case "score_pool":
            models = [catalog.prm(wildcards["prm"])]
        case "search_trees":
            models = [catalog.policy(wildcards["policy"]), catalog.prm(wildcards["prm"])]
        case "grade_samples" | "evaluate_policy" | "predict_difficulty":
            grade = study.config["grade"]
            workers = grade["workers"] * grade["memory_limit_mb"] / 1024
            held = LEAST_GB + tokens(study, **wildcards) * BYTES_PER_TOKEN / 2**30
            return held + (workers if rule == "grade_samples" else 0)
        case _:
            return LEAST_GB + outcome_rows(study) * BYTES_PER_ROW / 2**30
    job = job_work(study, rule, **wildcards)
    # Texts and their steps.
    each = 2 * BYTES_PER_TOKEN
    if rule == "sample_pool" and study.thinks(wildcards["policy"]):
        each = BYTES_PER_THOUGHT_TOKEN
    held = max(job.policy_tokens, job.prm_tokens) * each / 2**30
    return held + sum(memory.ram_gb(spec, study.engine(spec)) for spec in models)


def texts(study: Study, dataset: str, policy: str) -> int:
    """About as many solutions of a policy as are graded."""
    samples = sum(study.block_samples(policy, block) for block in study.all_blocks(policy))
    samples *= max(len(study.thinks(policy)), 1)
    prms = study.config["prms"] if study.search_blocks(policy) else []
    searched = (study.searching(dataset, policy, prm).paths for prm in prms)
    return study.n_problems(dataset) * samples + sum(searched)


def tokens(study: Study, dataset: str, policy: str) -> int:
    """Tokens of all these solutions."""
    spec, thinking = study.catalog.policy(policy), study.thinks(policy)
    if not thinking:
        return texts(study, dataset, policy) * spec.typical_tokens
    whole = min(spec.typical_tokens, thinking[-1]) / len(thinking)  # a trace once, not at each T
    return ceil(texts(study, dataset, policy) * (whole + ANSWER_TOKENS))


def outcome_rows(study: Study) -> int:
    """Approximate rows of the table of outcomes: problems by strategies, PRMs and budgets."""
    config = study.config
    rows = 0
    for dataset, policy in study.cells():
        for method in (METHODS[name] for name in study.methods(policy)):
            budgets = 1 if method.kind == "greedy" else len(study.budgets(method.kind, policy))
            prms = len(config["prms"]) if method.needs_prm else 1
            strategies = len(method.strategies(config["scorings"], config["votes"]))
            thinking = max(len(study.thinks(policy)), 1)
            rows += study.n_problems(dataset) * prms * budgets * strategies * thinking
    return rows
