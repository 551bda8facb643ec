"""Does predicted difficulty say what is then observed?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.evaluate.difficulty import levels


def calibration_table(
    predictions: pd.DataFrame, keys: Sequence[str] = ("dataset", "policy", "prm"), n_bins: int = 5
) -> pd.DataFrame:
    """Predicted against observed Pass@1 in equally large bins of the prediction.

    Args:
        predictions: rows of `predicted_difficulty`, stacked, with the columns `keys`.
        keys: what a predictor is fitted for.
        n_bins: bins of each.

    Returns:
        Columns *keys, bin (1 predicted hardest), n_problems, predicted, observed (means),
        mean_error (mean absolute error over all bins' problems), r_squared, level_agreement (share
        of problems whose predicted level is the observed one's).
    """
    rows = []
    for key, group in predictions.groupby(list(keys), sort=True):
        error = group["predicted"] - group["pass_at_1"]
        spread = ((group["pass_at_1"] - group["pass_at_1"].mean()) ** 2).sum()
        overall = {
            "mean_error": float(error.abs().mean()),
            "r_squared": float(1 - (error**2).sum() / spread) if spread > 0 else float("nan"),
            "level_agreement": float(
                (group["predicted_level"] == group["level"]).mean()
                if "level" in group
                else np.mean(levels(group["predicted"]) == levels(group["pass_at_1"]))
            ),
        }
        order = np.argsort(group["predicted"].to_numpy(), kind="stable")
        for b, part in enumerate(np.array_split(order, min(n_bins, len(order))), 1):
            chosen = group.iloc[part]
            rows.append(
                dict(zip(keys, key, strict=True))
                | {"bin": b, "n_problems": len(part)}
                | {"predicted": chosen["predicted"].mean(), "observed": chosen["pass_at_1"].mean()}
                | overall
            )
    return pd.DataFrame(rows)
