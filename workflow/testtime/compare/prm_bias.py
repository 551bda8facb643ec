"""PRMs also reward length: response length by PRM, and scores of short wrong answers.

The paper shows that PRMs differ in the length of what they choose, regardless of correctness.
Intervals: bootstrap over problems, whose samples are not independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from testtime.evaluate.estimators import best_of_k
from testtime.evaluate.scoring import path_scores
from testtime.evaluate.statistics import bootstrap_interval, percentiles, resample_weights
from testtime.study.vocabulary import CELL

KEYS = [*CELL, "prm"]
THIRDS = ("short", "middle", "long")
BIAS_COLUMNS = [*KEYS, "scoring", "correct", "length", "n_samples"]
BIAS_COLUMNS += ["n_problems", "mean_tokens", "mean_score", "score_low", "score_high"]
LENGTH_COLUMNS = [*KEYS, "scoring", "budget", "n_problems", "chosen_tokens"]
LENGTH_COLUMNS += ["pool_tokens", "ratio", "ratio_low", "ratio_high"]
LENGTH_COLUMNS += ["correlation", "correlation_low", "correlation_high"]


@dataclass(frozen=True)
class Resampling:
    """How intervals are computed."""

    bootstrap: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def weights(self, n_problems: int) -> np.ndarray:
        """Of `statistics.resample_weights`."""
        return resample_weights(n_problems, self.bootstrap, self.seed)


DEFAULT = Resampling()


def bias_table(
    samples: pd.DataFrame, scoring: str = "last", resampling: Resampling = DEFAULT
) -> pd.DataFrame:
    """Mean score of right and of wrong samples by length: `tables/prm_bias.csv`.

    Lengths are compared within a problem, so that answers are not long just because the problem is
    hard.

    Args:
        samples: dataset, policy, prm, problem_id, tokens, correct (0 or 1), scores (per step).
        scoring: how step scores become one.
        resampling: of the problems, for the intervals.

    Returns:
        Columns dataset, policy, prm, scoring, correct, length (short, middle, long third of the
        problem's samples), n_samples, n_problems (that have such a sample), mean_tokens,
        mean_score, score_low, score_high (NaN with fewer than two problems).
    """
    rows = _read(samples, scoring)
    share = rows.groupby([*KEYS, "problem_id"])["tokens"].rank(pct=True)
    third = np.ceil(3 * share - 1e-9).clip(1, 3).astype(int) - 1
    rows["length"] = pd.Categorical(np.array(THIRDS)[third], THIRDS, ordered=True)
    found = []
    for key, group in rows.groupby(KEYS, sort=True):
        problem, ids = pd.factorize(group["problem_id"], sort=True)
        weights = resampling.weights(len(ids))
        by_cell = group.assign(problem=problem).groupby(["correct", "length"], observed=True)
        for (correct, length), part in by_cell:
            low, high, n = _mean_interval(part, weights, resampling.confidence)
            found.append(
                dict(zip(KEYS, key, strict=True))
                | {"scoring": scoring, "correct": correct, "length": str(length)}
                | {"n_samples": len(part), "n_problems": n, "mean_tokens": part["tokens"].mean()}
                | {"mean_score": part["score"].mean(), "score_low": low, "score_high": high}
            )
    return pd.DataFrame(found, columns=BIAS_COLUMNS)


def length_table(
    samples: pd.DataFrame,
    budgets: Sequence[int],
    scoring: str = "last",
    resampling: Resampling = DEFAULT,
) -> pd.DataFrame:
    """Length of what each PRM chooses from N samples, against the pool's: `tables/prm_length.csv`.

    Args:
        samples: as for `bias_table`, the same number of samples for every problem.
        budgets: N of best-of-N; those above the pool's size are left out.
        scoring: how step scores become one.
        resampling: of the problems, for the intervals.

    Returns:
        Columns dataset, policy, prm, scoring, budget, n_problems, chosen_tokens (expected length of
        the best-of-N sample), pool_tokens (mean length), ratio (of these two), ratio_low,
        ratio_high, correlation (mean over problems of Spearman's rho between score and length among
        wrong samples), correlation_low, correlation_high.
    """
    rows = []
    for key, group in _read(samples, scoring).groupby(KEYS, sort=True):
        ordered = group.sort_values(["problem_id", "sample"] if "sample" in group else "problem_id")
        n = int(ordered.groupby("problem_id").size().min())
        ordered = ordered[ordered.groupby("problem_id").cumcount() < n]
        tokens = ordered["tokens"].to_numpy(dtype=float).reshape(-1, n)
        score = ordered["score"].to_numpy(dtype=float).reshape(-1, n)
        wrong = 1 - ordered["correct"].to_numpy(dtype=float).reshape(-1, n)
        rho = _correlations(score, tokens, wrong > 0.5)
        rho_ends = np.nan, np.nan  # no problem has wrong samples that differ
        if len(rho):
            rho_ends = bootstrap_interval(rho, resampling.weights(len(rho)), resampling.confidence)
        weights, pool = resampling.weights(len(tokens)), tokens.mean(axis=1)
        for budget in [budget for budget in budgets if budget <= n]:
            chosen = best_of_k(tokens, score, budget)
            ratios = (weights @ chosen) / (weights @ pool)
            ends = _interval(ratios, len(pool), resampling.confidence)
            rows.append(
                dict(zip(KEYS, key, strict=True))
                | {"scoring": scoring, "budget": budget, "n_problems": len(pool)}
                | {"chosen_tokens": chosen.mean(), "pool_tokens": pool.mean()}
                | {"ratio": chosen.mean() / pool.mean(), "ratio_low": ends[0]}
                | {"ratio_high": ends[1], "correlation": rho.mean() if len(rho) else np.nan}
                | {"correlation_low": float(rho_ends[0]), "correlation_high": float(rho_ends[1])}
            )
    return pd.DataFrame(rows, columns=LENGTH_COLUMNS)


def _mean_interval(
    part: pd.DataFrame, weights: np.ndarray, level: float
) -> tuple[float, float, int]:
    """Interval of the mean score of some samples, and their number of problems."""
    n_problems = weights.shape[1]
    held = np.bincount(part["problem"], minlength=n_problems)
    sums = np.bincount(part["problem"], weights=part["score"], minlength=n_problems)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (weights @ sums) / (weights @ held)
    n = int(np.count_nonzero(held))
    return *_interval(means, n, level), n


def _interval(resamples: np.ndarray, n: int, level: float) -> tuple[float, float]:
    found = resamples[np.isfinite(resamples)]
    return percentiles(found, n, level) if n > 1 and len(found) else (np.nan, np.nan)


def _read(samples: pd.DataFrame, scoring: str) -> pd.DataFrame:
    """Samples with a scored step and known length, with their path score."""
    scored = samples[(samples["scores"].map(len) > 0) & samples["tokens"].notna()]
    return scored.assign(score=path_scores(scored["scores"].to_numpy(), [scoring])[:, 0])


def _correlations(score: np.ndarray, tokens: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Spearman's rho within each problem that has three different samples to keep."""
    return np.array(
        [
            stats.spearmanr(s[k], t[k]).statistic
            for s, t, k in zip(score, tokens, keep, strict=True)
            if k.sum() > 2 and len(np.unique(s[k])) > 1 and len(np.unique(t[k])) > 1
        ]
    )
