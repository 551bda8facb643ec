"""A synthetic study with its figures, ready for a report."""

from pathlib import Path

import synthetic
import synthetic_results
from testtime.present.figures import style


def config(results: Path) -> dict:
    policies = {
        name: {"model": f"toys/{name}", "parameters": size, "context": 256, "revision": "abc123"}
        for name, size in synthetic.POLICIES.items()
    }
    prm = {"parameters": 2e5, "context": 256, "format": "math-shepherd"}
    prms = {name: {"model": f"toys/{name}", **prm} for name in synthetic.PRMS}
    datasets = {synthetic.DATASET: {"source": "microcosm", "size": 200}}
    catalog = {"policies": policies, "prms": prms, "datasets": datasets}
    return synthetic.config() | {"results": str(results), "catalog": catalog}


def make(folder: Path, figures: tuple[str, ...] = ("methods_diagram", "small_vs_large")) -> Path:
    """Write results with some of the figures, at a low resolution."""
    results = synthetic_results.results(folder / "results")
    sharp, style.DPI = style.DPI, 60
    try:
        for name in figures:
            images = [results / f"figures/{name}.{end}" for end in ("png", "pdf")]
            table = results / f"figures/data/{name}.csv"
            draw = synthetic.figure(name).draw
            style.render(synthetic.figure_data(name), draw, table=table, images=images)
    finally:
        style.DPI = sharp
    return results
