"""What follows the code: an edited module reruns exactly the analyses that import it."""

import ast
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
import yaml
from studies import SMOKE, snakemake
from testtime.present.registry import tables
from testtime.study.closure import import_closure, module_file
from testtime.study.methods import names

PACKAGES = ("testtime", "microcosm")
FOLLOWING = {  # rule -> what it runs; the other rules with a script run models and follow settings
    "grade_samples": "scripts/grade_samples.py",
    "estimate_difficulty": "scripts/estimate_difficulty.py",
    "predict_difficulty": "scripts/predict_difficulty.py",
    "evaluate_policy": "scripts/evaluate_policy.py",
    "write_report": "scripts/write_report.py",
    "walk_through_problem": "../notebooks/one_problem.ipynb",
    "derive_compute_optimal": "../notebooks/compute_optimal.ipynb",
    "compare_with_paper": "../notebooks/published.ipynb",
}

MESSAGES = {
    "Grades of": "grade_samples",
    "Difficulty of": "estimate_difficulty",
    "Predicted difficulty of": "predict_difficulty",
    "Outcomes of": "evaluate_policy",
    "Report": "write_report",
    "Notebook: one problem": "walk_through_problem",
    "Notebook: the compute-optimal choice": "derive_compute_optimal",
    "Notebook: beside the paper": "compare_with_paper",
}


def modules(workflow: Path) -> list[Path]:
    """Every module of the package and of the training beside it, and every script."""
    folders = (workflow / name for name in (*PACKAGES, "scripts"))
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def programs(workflow: Path) -> dict[str, list[Path]]:
    """Job -> what it runs: a rule, or for figures "draw_figure NAME"."""
    found = {rule: [(workflow / name).resolve()] for rule, name in FOLLOWING.items()}
    for paths in found.values():
        if paths[0].suffix == ".ipynb":
            paths.append(workflow / "scripts/run_notebook.py")
    # Methods are found by name: those of the smoke study, the default ones, among samples.
    methods = yaml.safe_load((workflow.parent / "config.yaml").read_text())["methods"]
    weighing = [name for name in methods if name not in names("search")]
    found["evaluate_policy"] += [
        workflow / f"testtime/evaluate/methods/{name}.py" for name in weighing
    ]
    for kind, script, rule in (
        ("tables", "make_tables", "tabulate_{}"),
        ("figures", "draw_figure", "draw_figure {}"),
    ):
        for path in (workflow / "testtime/present" / kind).glob("*.py"):
            own = [workflow / f"scripts/{script}.py", path]
            found[rule.format(path.stem)] = own
    return found


def expected(workflow: Path) -> dict[str, set[Path]]:
    """Job -> the modules and scripts whose edit must rerun it, by the import graph."""
    known = set(modules(workflow))
    root = Path(module_file("testtime")).parents[1]  # the closure's own checkout: equal files
    here = {path: workflow / path.relative_to(root) for path in modules(root)}
    jobs = {}
    for job, paths in programs(root).items():
        jobs[job] = {here[path] for path in import_closure(*paths) if path in here} & known
    return jobs


def job_of(message: str) -> str:
    """The job behind the message of its rule, which is all that a dry run says of it."""
    kind, _, rest = message.partition(": ")
    if kind == "Figure":
        return f"draw_figure {rest}"
    if kind == "Tables":
        made = {", ".join((*facts.tables, *facts.files)): name for name, facts in tables().items()}
        return f"tabulate_{made[rest]}"
    return next((job for words, job in MESSAGES.items() if message.startswith(words)), message)


def reruns(folder: Path, module: Path) -> dict[str, str]:
    """Job -> why it would run once a module has been edited, by a dry run."""
    path = folder / module
    text = path.read_text()
    path.write_text(text + "\n# edited\n")
    try:
        done = snakemake(folder, "-n", "--configfile", SMOKE)
    finally:
        path.write_text(text)
    assert done.returncode == 0, done.stderr[-4000:]
    said = done.stdout + done.stderr
    found = re.findall(r"^Job \d+: (.+)\nReason: (.+)$", said, re.MULTILINE)
    return {job_of(message): reason for message, reason in found}


def check(module: Path, found: dict[str, str], graph: dict[Path, set[str]], known: set[str]):
    """What imports the module runs because of it, what follows from that runs too, no more."""
    importing = graph[module] & known
    assert importing <= set(found), module
    for job, reason in found.items():
        if job in importing:
            assert str(module) in reason or "updated by another job" in reason, (module, job)
        else:
            assert reason.startswith("Input files updated by another job"), (module, job)


@pytest.fixture(scope="module")
def graph(study) -> dict[Path, set[str]]:
    """Module -> the jobs that import it."""
    found = defaultdict(set)
    for job, paths in expected(study / "workflow").items():
        for path in paths:
            found[path.relative_to(study)].add(job)
    return found


@pytest.fixture(scope="module")
def known(study) -> set[str]:
    """The jobs of the smoke study that follow code; it cannot fill every table and figure."""
    return set(reruns(study, Path("workflow/testtime/errors.py")))


@pytest.mark.parametrize(
    "module",
    [
        "study/vocabulary",
        "runtime/gpus",
        "data/imports",
        "grade/worker",
        "search/beam_search",
        "evaluate/methods/best_of_n",
        "fit/crossfit",
        "compare/published",
        "present/figures/looks",
        "present/tables/voting",
        "solve/run",
    ],
)
def test_an_edit_of_a_module_reruns_the_jobs_that_import_it(study, graph, known, module):
    path = Path(f"workflow/testtime/{module}.py")
    check(path, reruns(study, path), graph, known)


@pytest.mark.study
def test_an_edit_of_modules_in_turn_reruns_the_jobs_that_import_them(study, tmp_path, graph, known):
    """Every third one: they are many, and each takes a dry run."""
    folders = [study, tmp_path / "study"]
    shutil.copytree(study, folders[1], symlinks=True)
    todo = [path.relative_to(study) for path in modules(study / "workflow")[::3]]

    def run(number: int) -> list[tuple[Path, dict[str, str]]]:
        return [(module, reruns(folders[number], module)) for module in todo[number::2]]

    with ThreadPoolExecutor(2) as threads:
        found = [pair for part in threads.map(run, range(2)) for pair in part]
    assert len(found) == len(todo) > 50
    for module, jobs in found:
        check(module, jobs, graph, known)


@pytest.mark.parametrize("job", [*FOLLOWING, "tabulate_lookup", "draw_figure small_vs_large"])
def test_the_import_graph_is_what_python_imports(root, job):
    """More than what is imported at once, no more than what any branch of the code could import."""
    workflow = root / "workflow"
    paths = programs(workflow)[job]
    graph = {path for path in import_closure(*paths) if path.is_relative_to(workflow)}
    if any(path.suffix == ".ipynb" for path in paths):
        pytest.skip("notebooks are run by Jupyter")
    scripts = [path for path in paths if path.suffix == ".py"]
    names = imported_at_once(scripts, workflow)
    assert {module_file(name) for name in names} <= graph
    possible = set(scripts)
    for script in scripts:
        finder = ModuleFinder(path=[str(workflow)])
        finder.run_script(str(script))
        possible |= {Path(m.__file__) for m in finder.modules.values() if m.__file__}
    assert graph <= possible


def imported_at_once(scripts: list[Path], workflow: Path) -> list[str]:
    """Modules of the project that are loaded once the imports on top of programs have run."""
    lines = [
        ast.unparse(node)
        for script in scripts
        for node in ast.parse(script.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    lines += ["import sys", "print(*sys.modules)"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env={"PYTHONPATH": str(workflow), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in done.stdout.split() if name.split(".")[0] in PACKAGES]
