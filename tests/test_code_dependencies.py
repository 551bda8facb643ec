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
from studies import SMOKE, snakemake
from testtime.study.closure import import_closure, module_file

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


def modules(workflow: Path) -> list[Path]:
    """Every module of the package and of the training beside it, and every script."""
    folders = (workflow / name for name in (*PACKAGES, "scripts"))
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def programs(workflow: Path) -> dict[str, list[Path]]:
    """Job -> what it runs: a rule, or for figures "draw_figure NAME"."""
    found = {rule: [(workflow / name).resolve()] for rule, name in FOLLOWING.items()}
    # Methods are found by name: those of the smoke study that choose among samples.
    weighing = ("cot", "majority", "confidence", "best_of_n")
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


def jobs_and_updates(text: str, folder: Path) -> dict[str, set[Path]]:
    """Job -> input files that a dry run calls updated."""
    found = {}
    for block in re.split(r"\n(?=(?:local)?rule )", text)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)[1]
        figure = re.search(r"wildcards: figure=(\w+)", block)
        updated = re.search(r"Updated input files: ([^;\n]+)", block)
        paths = updated[1].split(", ") if updated else []
        found[f"{rule} {figure[1]}" if figure else rule] = {
            folder / path for path in paths if path.endswith(".py")
        }
    return found


def test_an_edit_of_every_module_updates_each_job_by_those_that_it_imports(study):
    """All modules are edited at once; the dry run names the edited inputs of each job."""
    wanted = expected(study / "workflow")
    before = {path: path.read_text() for path in modules(study / "workflow")}
    try:
        for path, text in before.items():
            path.write_text(text + "\n# edited\n")
        done = snakemake(study, "-n", "--configfile", SMOKE)
    finally:
        for path, text in before.items():
            path.write_text(text)
    assert done.returncode == 0, done.stderr[-4000:]
    found = jobs_and_updates(done.stdout + done.stderr, study)
    assert len(found) > 20
    for job, paths in found.items():
        assert paths == wanted.get(job, set()), job


@pytest.mark.study
def test_an_edit_of_each_module_in_turn_reruns_the_jobs_that_import_it(study, tmp_path):
    wanted = expected(study / "workflow")
    folders = [study, tmp_path / "study"]
    shutil.copytree(study, folders[1], symlinks=True)
    todo = [path.relative_to(study) for path in modules(study / "workflow")]

    def reruns(folder: Path, module: Path) -> set[str]:
        path = folder / module
        text = path.read_text()
        path.write_text(text + "\n# edited\n")
        try:
            done = snakemake(folder, "-n", "--configfile", SMOKE)
        finally:
            path.write_text(text)
        assert done.returncode == 0, done.stderr[-4000:]
        found = jobs_and_updates(done.stdout + done.stderr, folder)
        return {job for job, updated in found.items() if updated}

    def run(number: int) -> dict[Path, set[str]]:
        return {m: reruns(folders[number], m) for m in todo[number::2]}

    with ThreadPoolExecutor(2) as threads:
        found = {m: jobs for part in threads.map(run, range(2)) for m, jobs in part.items()}
    graph = defaultdict(set)
    for job, paths in wanted.items():
        for path in paths:
            graph[path.relative_to(study)].add(job)
    for module, jobs in found.items():
        # A figure or table that the study cannot fill has no job.
        filled = {job for job in graph[module] if job in set().union(*found.values())}
        assert jobs == filled, module


@pytest.mark.parametrize("job", [*FOLLOWING, "tabulate_lookup", "draw_figure small_vs_large"])
def test_the_import_graph_is_what_python_imports(root, job):
    """More than what is imported at once, no more than what any branch of the code could import."""
    workflow = root / "workflow"
    paths = programs(workflow)[job]
    graph = {path for path in import_closure(*paths) if path.is_relative_to(workflow)}
    scripts = [path for path in paths if path.suffix == ".py"]
    if not scripts:
        pytest.skip("notebooks are run by Jupyter")
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
