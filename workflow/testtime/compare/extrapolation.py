"""What more samples than a study has drawn would give: Pass@k and majority voting."""

from collections.abc import Collection

import pandas as pd

from testtime.evaluate.tables import graded_pools
from testtime.fit.cells import Settings
from testtime.fit.extrapolate import forecast_majority, forecast_pass
from testtime.study.seeds import derive
from testtime.study.vocabulary import CELL, MAJORITY, PASS

TIMES = (1, 2, 4, 16, 64)  # multiples of the largest budget
NEXT = 4  # the one that is asked about before more is drawn
YES, NO, OPEN = "yes", "no", "cannot be told"  # whether that pays


def forecast_table(grades: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Pass@k and majority voting at multiples of each pool's size.

    Args:
        grades: with columns dataset and policy; only rows of the method "pool" count.
        settings: of the study.

    Returns:
        dataset, policy, method (pass or majority), k, extrapolated, value, ci_low, ci_high, gain,
        gain_low, gain_high (over as many samples as the pool has), n_problems. The intervals are
        for these problems under new samples.
    """
    tables = []
    for dataset, policy, pool in graded_pools(grades):
        how = {
            "level": settings.confidence,
            "seed": derive(settings.seed, dataset, policy, "forecast"),
        }
        ks, right = [times * pool.n for times in TIMES], pool.correct.sum(axis=1)
        found = {
            PASS: forecast_pass(right, pool.n, ks, **how),
            MAJORITY: forecast_majority(pool.classes, pool.correct, ks, **how),
        }
        for method, forecast in found.items():
            rows = {"dataset": dataset, "policy": policy, "method": method, "k": ks}
            rows |= {"extrapolated": [k > pool.n for k in ks], "value": forecast.value}
            rows |= {"ci_low": forecast.low, "ci_high": forecast.high, "gain": forecast.gain}
            rows |= {"gain_low": forecast.gain_low, "gain_high": forecast.gain_high}
            tables.append(pd.DataFrame(rows | {"n_problems": len(right)}))
    return pd.concat(tables, ignore_index=True)


def next_budget(
    forecasts: pd.DataFrame, cells: Collection[tuple[str, str]], margin: float
) -> list[dict]:
    """Whether NEXT times as many samples are expected to pay, per dataset, policy and method.

    Args:
        forecasts: rows of `forecast.csv`.
        cells: the datasets and policies that count.
        margin: least gain that is worth it.

    Returns:
        The rows at that budget, with `pays`: "yes" or "no" where the whole interval of the gain
        lies on one side of the margin.
    """
    smallest = forecasts.groupby([*CELL, "method"])["k"].transform("min")
    rows = forecasts[forecasts["k"] == NEXT * smallest].to_dict("records")
    return [
        row | {"pays": _pays(row, margin)} for row in rows if tuple(map(row.get, CELL)) in cells
    ]


def _pays(row: dict, margin: float) -> str:
    if row["gain_low"] >= margin:
        return YES
    return NO if row["gain_high"] < margin else OPEN
