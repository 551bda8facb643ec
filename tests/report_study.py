"""A synthetic study with its figures, ready for a report."""

from pathlib import Path

import synthetic
import synthetic_results
from testtime.present import registry
from testtime.present.figures import style
from testtime.present.report.finding import Finding
from testtime.present.report.page import write_report
from testtime.study import catalog
from testtime.study.layout import Layout
from testtime.study.study import Study


def config(results: Path) -> dict:
    policies = {
        name: {"model": f"toys/{name}", "parameters": size, "context": 256, "revision": "abc123"}
        for name, size in synthetic.POLICIES.items()
    }
    prm = {"parameters": 2e5, "context": 256, "format": "math-shepherd"}
    prms = {name: {"model": f"toys/{name}", **prm} for name in synthetic.PRMS}
    datasets = {synthetic.DATASET: {"source": "microcosm", "size": 200}}
    entries = {"policies": policies, "prms": prms, "datasets": datasets}
    return synthetic.config() | {
        "results": str(results),
        "catalog": entries,
        "problems": {"limit": synthetic_results.N_PROBLEMS},
        "scorings": ["min", "last", "avg"],
        "jobs": {"hours": 1, "fleet": None, "gpu": "h100"},
        "store": None,
        "per_policy": {},
        "claim": {"large": None, "budget": None, "margin": 0.02},
        "search_logprobs": True,
        "search_runs": 1,
    }


def study(results: Path, **changes) -> Study:
    """The study of some results, with changes of its config."""
    changed = config(results) | changes
    return Study(changed, catalog.of_study(changed))


def report(study: Study, output: Path | None = None) -> Finding:
    """Write the report, of all figures and tables that there are, and return the finding."""
    layout = study.layout
    figures = [n for n in registry.figures() if Path(layout.path("figure", figure=n)).exists()]
    tables = [n for n in registry.descriptions() if Path(layout.path("table", table=n)).exists()]
    output = output or Path(layout.path("report"))
    return write_report(study, output, figures=figures, tables=tables)


def make(folder: Path, figures: tuple[str, ...] = ("methods_diagram", "small_vs_large")) -> Path:
    """Write results with some of the figures, at a low resolution."""
    results = synthetic_results.results(folder / "results")
    layout = Layout(str(results))
    sharp, style.DPI = style.DPI, 60
    try:
        for name in figures:
            images = [layout.path(kind, figure=name) for kind in ("figure", "figure_pdf")]
            table = layout.path("figure_data", figure=name)
            draw = synthetic.figure(name).draw
            style.render(synthetic.figure_data(name), draw, table=table, images=images)
    finally:
        style.DPI = sharp
    return results
