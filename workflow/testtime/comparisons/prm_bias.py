"""What else a PRM rewards: length. Response length by PRM, and scores of short wrong answers.

The paper shows that PRMs differ in the length of what they choose, whatever its correctness.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from testtime.evaluate.best_of_k import best_of_k
from testtime.evaluate.scoring import path_scores

THIRDS = ("short", "middle", "long")
LENGTH_COLUMNS = ["dataset", "policy", "prm", "scoring", "budget"]
LENGTH_COLUMNS += ["chosen_tokens", "pool_tokens", "correlation"]


def bias_table(samples: pd.DataFrame, scoring: str = "last") -> pd.DataFrame:
    """Mean score of right and of wrong samples by length: `tables/prm_bias.csv`.

    Lengths are compared within a problem, so that hard problems' long answers do not count as long.

    Args:
        samples: dataset, policy, prm, problem_id, tokens, correct (0 or 1), scores (per step).
        scoring: how step scores become one.

    Returns:
        Columns dataset, policy, prm, scoring, correct, length (short, middle, long third of the
        problem's samples), n_samples, mean_tokens, mean_score.
    """
    rows = _read(samples, scoring)
    share = rows.groupby(["dataset", "policy", "prm", "problem_id"])["tokens"].rank(pct=True)
    third = np.ceil(3 * share - 1e-9).clip(1, 3).astype(int) - 1
    rows["length"] = pd.Categorical(np.array(THIRDS)[third], THIRDS, ordered=True)
    keys = ["dataset", "policy", "prm", "correct", "length"]
    table = rows.groupby(keys, observed=True).agg(
        n_samples=("score", "size"), mean_tokens=("tokens", "mean"), mean_score=("score", "mean")
    )
    table = table.reset_index().astype({"length": str})
    table.insert(3, "scoring", scoring)
    return table


def length_table(
    samples: pd.DataFrame, budgets: Sequence[int], scoring: str = "last"
) -> pd.DataFrame:
    """Length of what each PRM chooses from N samples, beside the pool's: `tables/prm_length.csv`.

    Args:
        samples: as for `bias_table`, the same number of samples for every problem.
        budgets: N of best-of-N; those above the pool's size are left out.
        scoring: how step scores become one.

    Returns:
        Columns dataset, policy, prm, scoring, budget, chosen_tokens (expected length of the
        best-of-N sample), pool_tokens (mean length), correlation (mean over problems of Spearman's
        rho between score and length among wrong samples).
    """
    rows = []
    for key, group in _read(samples, scoring).groupby(["dataset", "policy", "prm"], sort=True):
        ordered = group.sort_values(["problem_id", "sample"] if "sample" in group else "problem_id")
        n = int(ordered.groupby("problem_id").size().min())
        ordered = ordered[ordered.groupby("problem_id").cumcount() < n]
        tokens = ordered["tokens"].to_numpy(dtype=float).reshape(-1, n)
        score = ordered["score"].to_numpy(dtype=float).reshape(-1, n)
        wrong = 1 - ordered["correct"].to_numpy(dtype=float).reshape(-1, n)
        rho = _correlation(score, tokens, wrong > 0.5)
        for budget in budgets:
            if budget <= n:
                chosen = best_of_k(tokens, score, budget).mean()
                names = dict(zip(("dataset", "policy", "prm"), key, strict=True))
                rows.append(
                    names
                    | {"scoring": scoring, "budget": budget, "chosen_tokens": float(chosen)}
                    | {"pool_tokens": float(tokens.mean()), "correlation": rho}
                )
    return pd.DataFrame(rows, columns=LENGTH_COLUMNS)


def _read(samples: pd.DataFrame, scoring: str) -> pd.DataFrame:
    """Samples that have a scored step, with their one score."""
    scored = samples[samples["scores"].map(len) > 0]
    return scored.assign(score=path_scores(scored["scores"].to_numpy(), [scoring])[:, 0])


def _correlation(score: np.ndarray, tokens: np.ndarray, keep: np.ndarray) -> float:
    found = []
    for s, t, k in zip(score, tokens, keep, strict=True):
        if k.sum() > 2 and len(np.unique(s[k])) > 1 and len(np.unique(t[k])) > 1:
            found.append(stats.spearmanr(s[k], t[k]).statistic)
    return float(np.mean(found)) if found else float("nan")
