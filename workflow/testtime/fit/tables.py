"""Tables of fitted choices: one row per context, and one row per context and difficulty."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.fit.intervals import percentiles
from testtime.fit.selection import Fit

KEYS = ["dataset", "policy", "prm", "budget"]


def compute_optimal_table(fits: Sequence[Fit]) -> pd.DataFrame:
    """Accuracy and cost of the compute-optimal choice per context: `tables/compute_optimal.csv`.

    Columns: dataset, policy, prm (a PRM, "none" where none is at hand, or "any"), budget,
    in_sample_accuracy, accuracy (cross-fitted), ci_low, ci_high, optimism (their difference),
    policy_tokens, prm_tokens, flops (mean per problem of the cross-fitted choice), n_problems,
    binning, difficulty_source.
    """
    rows = [
        {
            **_context(fit),
            "in_sample_accuracy": fit.in_sample,
            "accuracy": fit.accuracy,
            "ci_low": fit.low,
            "ci_high": fit.high,
            "optimism": fit.in_sample - fit.accuracy,
            **fit.costs,
            "n_problems": len(fit.values),
            "binning": fit.binning,
            "difficulty_source": fit.source,
        }
        for fit in fits
    ]
    table = pd.DataFrame(rows).sort_values([*KEYS, "binning"], kind="stable")
    return table.reset_index(drop=True)


def choice_table(fits: Sequence[Fit]) -> pd.DataFrame:
    """The chosen strategy per context and difficulty: `tables/choices.csv`.

    Columns: dataset, policy, prm, budget, binning, difficulty, n_problems, strategy_prm, method,
    scoring, vote, strategy_budget, accuracy (cross-fitted), ci_low, ci_high, in_sample_accuracy,
    agreement (share of the fold-wise choices that are this one), pooled (too few problems: the
    choice over all difficulties), policy_tokens, prm_tokens, flops.
    """
    frames = []
    for fit in fits:
        choices = fit.choices.rename(columns={"prm": "strategy_prm", "budget": "strategy_budget"})
        frames.append(choices.assign(**_context(fit), binning=fit.binning))
    table = pd.concat(frames, ignore_index=True)
    front = [*KEYS, "binning"]
    return table[front + [c for c in table.columns if c not in front]]


def binning_table(fits: Sequence[Fit], level: float = 0.95) -> pd.DataFrame:
    """What knowing a problem's difficulty is worth: cross-fitted accuracy by binning, paired.

    Columns: dataset, policy, prm, budget, binning, n_problems, in_sample_accuracy, accuracy,
    ci_low, ci_high, optimism, gain (over one choice for all problems), gain_low, gain_high.
    The interval of the gain is that of the paired difference, with both selections rerun.
    """
    base = {_key(fit): fit for fit in fits if fit.binning == "all"}
    table = compute_optimal_table(fits).drop(columns=["policy_tokens", "prm_tokens", "flops"])
    gains = {}
    for fit in fits:
        one = base.get(_key(fit))
        if one is None or len(fit.values) < 2 or len(fit.result.accuracy) < 2:
            continue
        difference = fit.result.accuracy - one.result.accuracy
        ends = percentiles(difference[1:], len(fit.values), level)
        gains[(*_key(fit), fit.binning)] = (difference[0], *ends)
    keys = table[[*KEYS, "binning"]].itertuples(index=False, name=None)
    found = np.array([gains.get(key, (np.nan,) * 3) for key in keys])
    return table.assign(gain=found[:, 0], gain_low=found[:, 1], gain_high=found[:, 2])


def _key(fit: Fit) -> tuple:
    return fit.dataset, fit.policy, fit.prm, fit.budget


def _context(fit: Fit) -> dict:
    return dict(zip(KEYS, _key(fit), strict=True))
