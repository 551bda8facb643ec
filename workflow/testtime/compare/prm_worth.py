"""Uses of a PRM's measured quality: choosing a PRM, and accuracy against quality (figure 5)."""

import numpy as np
import pandas as pd
from scipy import stats

from testtime.study.vocabulary import ANY, CELL, NONE

KEYS = [*CELL, "prm"]
# Measures of a PRM (columns of `prm_quality.csv`), the preferred ones first.
QUALITIES = {
    "f1": "ProcessBench F1",
    "auc": "AUC of step scores",
    "auc_first_wrong": "AUC at the first wrong step",
}


def quality_column(prm_quality: pd.DataFrame) -> str | None:
    """The first of QUALITIES that `prm_quality.csv` holds; None if nothing was measured."""
    for column in QUALITIES:
        if column in prm_quality and prm_quality[column].notna().any():
            return column
    return None


def best_prm(prm_quality: pd.DataFrame | None, prms: list[str]) -> str | None:
    """The PRM of figures that show only one: the best at judging steps.

    This is measured independently of any strategy's accuracy; without a measurement, the last one
    named in the study.
    """
    column = None if prm_quality is None else quality_column(prm_quality)
    if column is None or not prms:
        return prms[-1] if prms else None
    means = prm_quality.groupby("prm")[column].mean().reindex(prms)
    return str(means.idxmax()) if means.notna().any() else prms[-1]


def mean_quality(*tables: pd.DataFrame) -> dict[str, float]:
    """Mean quality of each PRM over the policies, empty if it was not measured.

    Args:
        tables: rows of `prm_quality.csv`, or nothing if the study has no such table.
    """
    column = next(map(quality_column, tables), None)
    return {} if column is None else tables[0].groupby("prm")[column].mean().to_dict()


def log_fit(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Least-squares fit of y = slope * ln(x) + intercept.

    The paper fits Y = 7.66 ln X + 44.31, both in percent.

    Returns:
        slope, intercept, r_squared, slope_error (standard error), n; NaN with fewer than two
        distinct x.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    known = (x > 0) & np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(np.unique(x)) < 2:
        empty = dict.fromkeys(("slope", "intercept", "r_squared", "slope_error"), float("nan"))
        return empty | {"n": len(x)}
    line = stats.linregress(np.log(x), y)
    return {
        "slope": float(line.slope),
        "intercept": float(line.intercept),
        "r_squared": float(line.rvalue**2),
        "slope_error": float(line.stderr),
        "n": len(x),
    }


def quality_against_accuracy(
    compute_optimal: pd.DataFrame, quality: pd.DataFrame, *, measure: str = "f1"
) -> pd.DataFrame:
    """Join each PRM's quality with the compute-optimal accuracy reached with it.

    Args:
        compute_optimal: rows of `tables/compute_optimal.csv`.
        quality: rows of `tables/prm_quality.csv`; joined by dataset and policy if it has them, else
            its mean per PRM is used for all (step labels of another dataset).
        measure: "f1", "auc" or another column of `quality`.

    Returns:
        dataset, policy, prm, budget, quality, accuracy, ci_low, ci_high (all in percent).
    """
    points = compute_optimal[~compute_optimal["prm"].isin([ANY, NONE])]
    measured = quality[[*KEYS, measure]].rename(columns={measure: "quality"})
    points = points.merge(measured, on=KEYS, how="left")
    overall = quality.groupby("prm")[measure].mean()
    points["quality"] = 100 * points["quality"].fillna(points["prm"].map(overall))
    for column in ("accuracy", "ci_low", "ci_high"):
        points[column] = 100 * points[column]
    points = points[[*KEYS, "budget", "quality", "accuracy", "ci_low", "ci_high"]]
    return points.reset_index(drop=True)
