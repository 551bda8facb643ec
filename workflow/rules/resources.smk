# What jobs ask of a scheduler: from the catalog and their amount of work, more at each attempt,
# and at most what `jobs:` allows.
LEAST_GB = 2  # of an analysis job, beside its texts or rows in memory
BYTES_PER_TOKEN, BYTES_PER_ROW = 10, 2000


def get_minutes(attempt, work):
    return work.minutes(attempt, config["jobs"]["max_hours"])


def get_generation_minutes(wildcards, attempt):
    return get_minutes(attempt, STUDY.generation(**wildcards))


def get_score_minutes(wildcards, attempt):
    return get_minutes(attempt, STUDY.scores(**wildcards))


def get_search_minutes(wildcards, attempt):
    return get_minutes(attempt, STUDY.search(**wildcards))


def get_memory(attempt, *specs):
    """Megabytes of RAM for a job of these models."""
    gigabytes = sum(ram_gb(spec, STUDY.engine(spec)) for spec in specs)
    return limit_memory(attempt * gigabytes)


def limit_memory(gigabytes):
    return int(1024 * min(gigabytes, config["jobs"]["max_memory_gb"]))


def get_training_minutes(wildcards, attempt):
    known = CATALOG.policies | CATALOG.prms
    return get_minutes(attempt, training(known[wildcards.name].train))


def get_grading_minutes(wildcards, attempt):
    return get_minutes(attempt, STUDY.grading(**wildcards))


def get_cross_check_minutes(wildcards, attempt):
    return get_minutes(attempt, grading(sum(STUDY.tokens(*cell) for cell in STUDY.cells())))


def get_evaluation_minutes(wildcards, attempt):
    return get_minutes(attempt, STUDY.evaluation(**wildcards))


def get_fit_minutes(wildcards, attempt):
    return get_minutes(attempt, STUDY.fit())


def get_cell_gb(wildcards):
    return LEAST_GB + STUDY.tokens(**wildcards) * BYTES_PER_TOKEN / 2**30


def get_cell_memory(wildcards, attempt):
    """Megabytes of a job that holds all texts of a policy on a dataset."""
    return limit_memory(attempt * get_cell_gb(wildcards))


def get_grading_memory(wildcards, attempt):
    """The same, and what its workers may take before they are ended."""
    workers_gb = config["grade"]["workers"] * config["grade"]["memory_limit_mb"] / 1024
    return limit_memory(attempt * (get_cell_gb(wildcards) + workers_gb))


def get_study_memory(wildcards, attempt):
    """Megabytes of a job that holds the table of outcomes."""
    return limit_memory(attempt * (LEAST_GB + STUDY.outcome_rows() * BYTES_PER_ROW / 2**30))
