"""The compute-optimal choice of every context of a study, cross-fitted and in-sample.

A context is (dataset, policy, PRM or "any" or "none", budget, difficulty); `crossfit.best_strategy`
is the rule of choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from testtime.evaluate.statistics import chosen_interval, paired_difference
from testtime.fit.cells import (
    Cell,
    Settings,
    bins_of,
    candidates,
    cell_folds,
    contexts,
    read_cells,
)
from testtime.fit.crossfit import CrossFit, crossfit
from testtime.study.vocabulary import ALL, CELL, CHOSEN, LEVEL, SPENT, STRATEGY

KEYS = [*CELL, "prm", "budget"]


@dataclass(frozen=True)
class Fit:
    """The choice of one (dataset, policy, prm, budget), difficulty binned in one way.

    Attributes:
        budget: N, or an amount of tokens, FLOPs, seconds or latency.
        binning: column of the difficulty table that gave the bins; "all" (one bin); or "chosen", by
            level where that pays and else one strategy for all levels.
        source: where that difficulty came from, e.g. "held-out".
        problem_ids: (n_problems,).
        result: accuracies, see `CrossFit`.
        low, high: interval of the cross-fitted accuracy.
        run_sd: standard deviation of the accuracy over runs with other samples, on these problems
            and with these choices; NaN where that of a strategy used is unknown.
        costs: mean per problem of policy_tokens, prm_tokens, flops, latency_s, kv_gb, cross-fitted.
        strategies: the available ones, cheapest first: prm, method, scoring, vote, budget.
        means: accuracy of each on each bin's problems, (n_bins, n_strategies); NaN in empty bins.
        choices: one row per bin: difficulty, n_problems, the chosen strategy (prm, method, scoring,
            vote, budget), accuracy, ci_low, ci_high, in_sample_accuracy, agreement, pooled,
            per_bin, and the chosen strategy's mean costs on the bin's problems.
    """

    dataset: str
    policy: str
    prm: str
    budget: float
    binning: str
    source: str
    problem_ids: np.ndarray
    result: CrossFit
    low: float
    high: float
    run_sd: float
    costs: dict[str, float]
    strategies: pd.DataFrame
    means: np.ndarray
    choices: pd.DataFrame

    @property
    def accuracy(self) -> float:
        """Cross-fitted accuracy."""
        return self.result.accuracy

    @property
    def values(self) -> np.ndarray:
        """Cross-fitted correctness per problem, mean over repeats, (n_problems,)."""
        return self.result.values.mean(axis=0)

    @property
    def fold_error(self) -> float:
        """How much the accuracy depends on the draws of the folds: its standard error."""
        means = self.result.values.mean(axis=1)
        return float(means.std() / np.sqrt(len(means)))

    @property
    def in_sample(self) -> float:
        """Accuracy as the paper computes it: chosen and judged on the same problems."""
        return self.result.in_sample

    @property
    def context(self) -> tuple[str, str, str, float]:
        """Dataset, policy, prm, budget."""
        return self.dataset, self.policy, self.prm, self.budget


def fit_study(
    outcomes: pd.DataFrame,
    difficulty: pd.DataFrame,
    settings: Settings,
    *,
    binning: str = LEVEL,
) -> list[Fit]:
    """Fit every context of a study.

    Args:
        outcomes: rows of `tables/outcomes.parquet`.
        difficulty: columns dataset, policy, problem_id, source and the one that `binning` names;
            not read if that is "all".
        settings: folds, repeats, resamples, seed.
        binning: "level", "quantile", "predicted_level", "all" or "chosen" (by level if that pays,
            see `crossfit`).

    Raises:
        UserError: a problem has outcomes and no difficulty, or outcomes are incomplete.
    """
    return [
        fit_context(
            candidates(cell, prm, budget), prm, budget, difficulty, settings, binning=binning
        )
        for cell in read_cells(outcomes)
        for prm, budget in contexts(cell)
    ]


def fit_context(
    open_to: Cell,
    prm: str,
    budget: float,
    difficulty: pd.DataFrame | None,
    settings: Settings,
    *,
    binning: str,
) -> Fit:
    """Choose a strategy per bin of difficulty for one context, and judge the choice.

    Args:
        open_to: a cell with those strategies, cheapest first.
        prm: the context's.
        budget: the context's.
        difficulty: as for `fit_study`.
        settings: as for `fit_study`.
        binning: as for `fit_study`.
    """
    (fit,) = fit_budgets(open_to, prm, {budget: None}, difficulty, settings, binning=binning)
    return fit


def fit_budgets(
    open_to: Cell,
    prm: str,
    allowed: Mapping[float, np.ndarray | None],
    difficulty: pd.DataFrame | None,
    settings: Settings,
    *,
    binning: str,
) -> list[Fit]:
    """Fit contexts that differ only in which of the same strategies their budget allows.

    Args:
        open_to: as for `fit_context`.
        prm: as for `fit_context`.
        allowed: by budget, the strategies that may be chosen in each bin, (n_bins, n_strategies);
            None allows all.
        difficulty: as for `fit_study`.
        settings: as for `fit_study`.
        binning: as for `fit_study`.
    """
    labels, bins, source = bins_of(open_to, difficulty, binning, prm)
    folds = cell_folds(open_to, bins, settings)
    fits = []
    for budget, mask in allowed.items():
        result = crossfit(
            open_to.correct,
            bins,
            folds,
            n_bins=len(labels),
            allowed=mask,
            prefer_one=binning == CHOSEN,
        )
        facts = {"binning": binning, "source": source}
        fits.append(_fit(open_to, prm, budget, result, labels, bins, settings.confidence, **facts))
    return fits


def largest_budget(fits: Sequence[Fit]) -> list[Fit]:
    """Of each (dataset, policy, prm), the fit with the largest budget."""
    best: dict[tuple, Fit] = {}
    for fit in fits:
        key = (fit.dataset, fit.policy, fit.prm)
        if key not in best or fit.budget > best[key].budget:
            best[key] = fit
    return list(best.values())


def _fit(
    open_to: Cell,
    prm: str,
    budget: float,
    result: CrossFit,
    labels: Sequence[str],
    bins: np.ndarray,
    level: float,
    **facts: str,
) -> Fit:
    """What is reported of one context's choice; `facts` are the Fit's binning and source."""
    correct, values = open_to.correct, result.values
    low, high = chosen_interval(values, level)
    rows, means = [], []
    for b, label in enumerate(labels):
        inside = bins == b
        nothing = np.full(correct.shape[1], np.nan)
        means.append(correct[inside].mean(axis=0) if inside.any() else nothing)
        chosen = result.chosen[b]
        ends = chosen_interval(values[:, inside], level)
        accuracy = values[:, inside].mean() if inside.any() else np.nan
        where = inside if inside.any() else slice(None)
        rows.append(
            {"difficulty": label, "n_problems": int(inside.sum())}
            | open_to.strategies.loc[chosen, STRATEGY].to_dict()
            | {"accuracy": accuracy, "ci_low": ends[0], "ci_high": ends[1]}
            | {"in_sample_accuracy": result.bin_in_sample[b]}
            | {"agreement": result.agreement[b], "pooled": bool(result.pooled[b])}
            | {"per_bin": result.per_bin}
            | {name: open_to.costs[name][where, chosen].mean() for name in SPENT}
        )
    return Fit(
        dataset=open_to.dataset,
        policy=open_to.policy,
        prm=prm,
        budget=budget,
        **facts,
        problem_ids=open_to.problem_ids,
        result=result,
        low=low,
        high=high,
        run_sd=_run_sd(result.use, open_to.run_variance),
        costs={name: _mean_used(result.use, open_to.costs[name]) for name in SPENT},
        strategies=open_to.strategies[STRATEGY],
        means=np.array(means),
        choices=pd.DataFrame(rows),
    )


def _mean_used(use: np.ndarray, values: np.ndarray) -> float:
    """Mean over problems of what was used; NaN only where that of a strategy used is unknown."""
    return float(np.where(use > 0, use * values, 0.0).sum() / len(use))


def _run_sd(use: np.ndarray, variance: np.ndarray) -> float:
    return float(np.sqrt(_mean_used(use, variance) / len(use)))


def compute_optimal_table(fits: Sequence[Fit]) -> pd.DataFrame:
    """Accuracy and cost of the compute-optimal choice per context: `tables/compute_optimal.csv`.

    Columns: dataset, policy, prm (a PRM, "none" if none is available, or "any"), budget,
    in_sample_accuracy, accuracy (cross-fitted), ci_low, ci_high, optimism (their difference),
    policy_tokens, prm_tokens, flops, latency_s, kv_gb (mean per problem of the cross-fitted
    choice), n_problems,
    binning, difficulty_source, fold_error (standard error of the accuracy for the draws of the
    folds), run_sd (standard deviation of the accuracy over runs with other samples; missing where
    unknown).
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
            "n_problems": len(fit.problem_ids),
            "binning": fit.binning,
            "difficulty_source": fit.source,
            "fold_error": fit.fold_error,
            "run_sd": fit.run_sd,
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
    choice over all difficulties), per_bin (false: one choice for all difficulties), policy_tokens,
    prm_tokens, flops, latency_s, kv_gb.
    """
    frames = []
    for fit in fits:
        choices = fit.choices.rename(columns={"prm": "strategy_prm", "budget": "strategy_budget"})
        frames.append(choices.assign(**_context(fit), binning=fit.binning))
    table = pd.concat(frames, ignore_index=True)
    front = [*KEYS, "binning"]
    return table[front + [c for c in table.columns if c not in front]]


def binning_table(fits: Sequence[Fit], level: float = 0.95) -> pd.DataFrame:
    """The gain from knowing a problem's difficulty: cross-fitted accuracy by binning, paired.

    Columns: dataset, policy, prm, budget, binning, n_problems, in_sample_accuracy, accuracy,
    ci_low, ci_high, optimism, gain (over one choice for all problems), gain_low, gain_high.
    The interval of the gain is that of the paired difference.
    """
    base = {fit.context: fit for fit in fits if fit.binning == ALL}
    table = compute_optimal_table(fits).drop(columns=[*SPENT, "fold_error", "run_sd"])
    gains = {}
    for fit in fits:
        one = base.get(fit.context)
        if one is not None:
            gain = paired_difference(fit.result.values - one.result.values, level)
            gains[(*fit.context, fit.binning)] = (gain.mean, gain.low, gain.high)
    keys = table[[*KEYS, "binning"]].itertuples(index=False, name=None)
    found = np.array([gains.get(key, (np.nan,) * 3) for key in keys])
    return table.assign(gain=found[:, 0], gain_low=found[:, 1], gain_high=found[:, 2])


def _context(fit: Fit) -> dict:
    return dict(zip(KEYS, fit.context, strict=True))
