import os
import sys
from dataclasses import asdict
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The package is importable here and in every job, whatever environment a job runs in.
PACKAGE_PARENT = str(Path(workflow.basedir) / "workflow")
sys.path.insert(0, PACKAGE_PARENT)
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [PACKAGE_PARENT, os.environ.get("PYTHONPATH")])
)

from testtime import plan
from testtime.catalog import as_params
from testtime.config import validate
from testtime.errors import UserError
from testtime.lock import hold
from testtime.search.methods import METHODS

try:
    CATALOG = validate(config)
    # Snakemake's own lock would outlive a killed run, see profiles/default.
    LOCK = hold(config["results"]) if workflow.is_main_process and not workflow.dryrun else None
except UserError as error:
    raise WorkflowError(str(error)) from None

RESULTS = config["results"]

# Raise a stage's number when its output changes meaning; edits of code alone rerun no heavy job.
FORMATS = {"problems": 1, "generate": 1, "score": 1, "search": 1}


wildcard_constraints:
    dataset=r"[^/]+",
    policy=r"[^/]+",
    prm=r"[^/]+",
    method=r"[^/]+",
    name=r"[^/]+",
    block=r"cot|difficulty|\d+|\d+-\d+",
    shard=r"\d+-of-\d+",


def package(*modules):
    """Source files of package modules: analysis rules rerun when these change."""
    root = Path(workflow.basedir) / "workflow" / "testtime"
    files = []
    for module in modules:
        path = root / module
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [str(path) for path in files]


def script(name):
    """A rule's script as an input, for rules that follow their code."""
    return f"{workflow.basedir}/workflow/scripts/{name}.py"


def get_cells():
    """Every (dataset, policy) of the study."""
    return [(dataset, policy) for dataset in config["datasets"] for policy in config["policies"]]


def for_cells(stage):
    """The stage's file of every (dataset, policy)."""
    return [f"{RESULTS}/{stage}/{dataset}/{policy}.parquet" for dataset, policy in get_cells()]


def n_problems(dataset):
    """Problems of a dataset that the study uses, known before any of them is read."""
    size = CATALOG.dataset(dataset).size
    return min(size, config["problems"]["limit"] or size)


def job_shards(seconds, dataset):
    return plan.shard_names(n_problems(dataset), seconds, 3600 * config["jobs"]["hours"])


def get_pool_blocks():
    return plan.blocks(config["budgets"]["pool"])


def get_all_blocks():
    """Pool, greedy CoT and held-out samples: what is drawn of a policy."""
    cot = [plan.COT] if "cot" in config["methods"] else []
    held_out = [plan.DIFFICULTY] if config["difficulty"]["samples"] else []
    return [*cot, *get_pool_blocks(), *held_out]


def get_tree_methods():
    return [method for method in config["methods"] if method in METHODS]


def is_imported(policy):
    return CATALOG.policy(policy).samples is not None


def get_model_files(kind, name):
    """What a model's jobs depend on: its weights, where they are a local folder or trained here."""
    spec = CATALOG.policy(name) if kind == "policy" else CATALOG.prm(name)
    if spec.train is not None:
        return [f"{RESULTS}/models/{name}"]
    if spec.folder is None:
        return []
    return sorted(str(path) for path in spec.folder.glob("*.safetensors"))


def get_prm_settings(prm):
    return as_params(CATALOG.prm(prm), "model", "revision", "format", "context", "dtype")


def get_memory(attempt, *specs):
    """Megabytes that a job of these models asks for; a retry asks for more."""
    return int(1024 * attempt * sum(spec.memory_gb for spec in specs))


def get_parameters(policy):
    """Weights of the policy and of each PRM, the P of FLOPs = 2·P·tokens."""
    return {
        "policy": CATALOG.policy(policy).parameters,
        "prms": {prm: CATALOG.prm(prm).parameters for prm in config["prms"]},
    }
