"""How well a PRM tells right steps from wrong ones, on step-labelled samples.

A sample's label is the index of its first wrong step, -1 where all are right, as in ProcessBench
(Zheng et al. 2024); steps after the first wrong one count as wrong.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from testtime.evaluate.statistics import percentiles, resample_weights
from testtime.study.vocabulary import CELL

THRESHOLD = 0.5
KEYS = [*CELL, "prm"]
COLUMNS = [*KEYS, "n_problems", "n_samples", "n_steps", "wrong_steps"]
COLUMNS += ["auc", "auc_low", "auc_high", "auc_first_wrong"]
COLUMNS += ["accuracy_erroneous", "accuracy_correct", "f1", "f1_low", "f1_high", "f1_tuned"]


def first_wrong(labels: Sequence[bool]) -> int:
    """Index of the first wrong step, -1 if there is none."""
    return next((i for i, right in enumerate(labels) if not right), -1)


def label_samples(
    problems: pd.DataFrame,
    samples: pd.DataFrame,
    label_steps: Callable[[str, Sequence[str]], Sequence[bool]],
) -> pd.DataFrame:
    """Label samples by a checker of steps, such as the microcosm's.

    Args:
        problems: problem_id, problem.
        samples: problem_id, steps, ...
        label_steps: (problem, steps) -> whether each step is right.

    Returns:
        The samples that have a step, with `first_error`.
    """
    text = problems.set_index("problem_id")["problem"]
    samples = samples[samples["steps"].map(len) > 0]
    labels = [
        first_wrong(label_steps(text[problem_id], list(steps)))
        for problem_id, steps in zip(samples["problem_id"], samples["steps"], strict=True)
    ]
    return samples.assign(first_error=labels)


def quality_table(
    labelled: pd.DataFrame,
    *,
    bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """AUC and ProcessBench F1 of every PRM, per dataset and policy: `tables/prm_quality.csv`.

    Args:
        labelled: dataset, policy, prm, problem_id, scores (one per step), first_error.
        bootstrap: resamples of the problems.
        confidence: coverage of the intervals.
        seed: of the resamples.

    Returns:
        Columns dataset, policy, prm, n_problems, n_samples, n_steps, wrong_steps (share), auc (all
        steps), auc_low, auc_high, auc_first_wrong (right steps and first wrong ones only),
        accuracy_erroneous, accuracy_correct, f1, f1_low, f1_high, f1_tuned (its threshold chosen on
        the other half of the problems). NaN if one kind of sample is missing.
    """
    rows = []
    for key, group in labelled.groupby(KEYS, sort=True):
        problem, ids = pd.factorize(group["problem_id"], sort=True)
        weights = resample_weights(len(ids), bootstrap, seed)[:, problem]
        rows.append(
            dict(zip(KEYS, key, strict=True))
            | {"n_problems": len(ids), "n_samples": len(group)}
            | _quality(group, problem, weights, confidence)
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def step_auc(
    scores: Sequence[Sequence[float]], first_errors: Sequence[int], *, first_only: bool = False
) -> float:
    """Area under the ROC curve of step scores against step labels.

    Args:
        scores: one per step of each sample.
        first_errors: per sample.
        first_only: leave out the steps after the first wrong one.

    Returns:
        NaN if all steps are right or all wrong.
    """
    right, flat, _ = _steps(scores, first_errors, first_only=first_only)
    return _auc(right, _ranks(flat), np.ones(len(flat)))


def _quality(
    group: pd.DataFrame,
    problem: np.ndarray,
    weights: np.ndarray,
    confidence: float,
) -> dict:
    scores, errors = list(group["scores"]), group["first_error"].to_numpy()
    right_steps, flat, owner = _steps(scores, errors, first_only=False)
    n = len(np.unique(problem))
    located = _located(scores, errors, THRESHOLD)
    f1 = _f1(located, errors >= 0, np.concatenate([np.ones((1, len(errors))), weights]))
    ranks = _ranks(flat)
    aucs = [_auc(right_steps, ranks, row[owner]) for row in weights]
    ends = {
        name: percentiles(values, n, confidence) if n > 1 and len(values) else (np.nan, np.nan)
        for name, values in (
            ("auc", np.array([a for a in aucs if np.isfinite(a)])),
            ("f1", f1[1:, 2][np.isfinite(f1[1:, 2])]),
        )
    }
    return {
        "n_steps": len(flat),
        "wrong_steps": float(1 - right_steps.mean()),
        "auc": step_auc(scores, errors),
        "auc_low": ends["auc"][0],
        "auc_high": ends["auc"][1],
        "auc_first_wrong": step_auc(scores, errors, first_only=True),
        "accuracy_erroneous": f1[0, 0],
        "accuracy_correct": f1[0, 1],
        "f1": f1[0, 2],
        "f1_low": ends["f1"][0],
        "f1_high": ends["f1"][1],
        "f1_tuned": _tuned_f1(scores, errors, problem),
    }


def _steps(
    scores: Sequence[Sequence[float]], first_errors: Sequence[int], *, first_only: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label and score of every step, and the index of the sample that it belongs to."""
    right, flat, owner = [], [], []
    for i, (row, error) in enumerate(zip(scores, first_errors, strict=True)):
        stop = min(error + 1, len(row)) if first_only and error >= 0 else len(row)
        for k in range(stop):
            right.append(error < 0 or k < error)
            flat.append(row[k])
            owner.append(i)
    return np.array(right, dtype=bool), np.array(flat, dtype=float), np.array(owner, dtype=int)


def _located(
    scores: Sequence[Sequence[float]], first_errors: Sequence[int], threshold: float
) -> np.ndarray:
    """Whether the first step scored below the threshold is each sample's first wrong one."""
    called = [first_wrong([score >= threshold for score in row]) for row in scores]
    return np.array(called) == np.asarray(first_errors)


def _f1(located: np.ndarray, erroneous: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Accuracy on erroneous and on correct samples, harmonic mean, per resample: (n, 3)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = weights @ (located & erroneous) / (weights @ erroneous)
        right = weights @ (located & ~erroneous) / (weights @ ~erroneous)
        both = np.where(wrong + right > 0, 2 * wrong * right / (wrong + right), 0.0)
    both = np.where(np.isfinite(wrong + right), both, np.nan)
    return np.stack([wrong, right, both], axis=1)


def _ranks(flat: np.ndarray) -> np.ndarray:
    """Rank of each score among the distinct ones, lowest first."""
    return np.unique(flat, return_inverse=True)[1]


def _auc(right: np.ndarray, ranks: np.ndarray, weights: np.ndarray) -> float:
    """Weighted share of the pairs of a right and a wrong step in which the right one scores higher.

    A tie counts half. NaN if all steps are right or all wrong.

    Source: Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve".
    """
    ups, downs = np.bincount(ranks, weights * right), np.bincount(ranks, weights * ~right)
    pairs = ups.sum() * downs.sum()
    below = downs.cumsum() - downs / 2
    return float(ups @ below / pairs) if pairs > 0 else float("nan")


def _tuned_f1(scores: Sequence[Sequence[float]], errors: np.ndarray, problem: np.ndarray) -> float:
    """F1 with each half's threshold chosen on the other half of the problems."""
    if not 0 < (errors >= 0).sum() < len(errors):
        return float("nan")
    grid = np.unique(np.round(np.quantile(np.concatenate(list(scores)), np.arange(1, 40) / 40), 6))
    located = np.array([_located(scores, errors, threshold) for threshold in grid])
    half = problem % 2
    answers = np.zeros(len(errors), dtype=bool)
    for part in (0, 1):
        others = (half != part).astype(float)[None]
        f1 = [np.nan_to_num(_f1(row, errors >= 0, others)[0, 2]) for row in located]
        answers[half == part] = located[int(np.argmax(f1)), half == part]
    return float(_f1(answers, errors >= 0, np.ones((1, len(errors))))[0, 2])
