"""Predicted difficulty: Pass@1 of a problem without an answer key, from its first few samples.

A logistic regression on how much the samples agree, how confident the policy is and how a PRM
scores them. Its coefficients are plain numbers, so the lookup can hold it.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from testtime.errors import UserError
from testtime.evaluate.difficulty import EASY, HARD, levels
from testtime.evaluate.scoring import path_scores
from testtime.fit.cells import Settings
from testtime.fit.crossfit import draw_folds
from testtime.study.seeds import derive
from testtime.study.vocabulary import CELL, NONE, POOL

N_PROBE = 4
STRENGTH = 1.0  # inverse of the penalty on standardised coefficients


def probe_samples(
    generations: pd.DataFrame,
    grades: pd.DataFrame,
    scores: pd.DataFrame | None = None,
    n_probe: int = N_PROBE,
) -> pd.DataFrame:
    """The first samples of the pool with what can be known about them without an answer key.

    Args:
        generations: rows of the pool: problem_id, sample, tokens, logprob, step_logprobs.
        grades: rows of the policy; only the answer class of method "pool" is read, never whether an
            answer is correct.
        scores: problem_id, sample, scores of one PRM, or None.
        n_probe: samples per problem.

    Returns:
        The columns of generations, answer_class, and scores if there is a PRM.
    """
    first = generations[generations["sample"] < n_probe]
    classes = grades.loc[grades["method"] == POOL, ["problem_id", "path", "answer_class"]]
    classes = classes.rename(columns={"path": "sample"})
    keys = ["problem_id", "sample"]
    samples = first.merge(classes, on=keys, validate="one_to_one")
    if scores is not None:
        samples = samples.merge(scores[[*keys, "scores"]], on=keys, validate="one_to_one")
    return samples.sort_values(keys, kind="stable", ignore_index=True)


def probe_features(samples: pd.DataFrame) -> pd.DataFrame:
    """Features of each problem from its first samples, one row per problem_id.

    Args:
        samples: of `probe_samples`: problem_id, answer_class, tokens, and, if known, logprob,
            step_logprobs (natural logarithms, means per token), scores (per step).

    Returns:
        Columns entropy (of the vote, 0 all agree .. 1 all differ; a missing answer counts as a
        distinct one), agreement (share of the leading answer), silent (share without an answer),
        log_tokens, and, if known for every sample, confidence, worst_step, prm_last, prm_min,
        prm_best, prm_leading (share of the PRM's scores that the leading answer holds).
    """
    rows = {str(name): _features(group) for name, group in samples.groupby("problem_id", sort=True)}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("problem_id")
    return table.dropna(axis=1)


def _features(group: pd.DataFrame) -> dict[str, float]:
    classes = group["answer_class"].to_numpy().astype(np.int64)
    n = len(classes)
    # Samples without an answer agree with no other.
    votes = np.where(classes < 0, -1 - np.arange(n), classes)
    names, counts = np.unique(votes, return_counts=True)
    share = counts / n
    leading = votes == names[np.argmax(counts)]
    found = {
        "entropy": float(-(share * np.log(share)).sum() / np.log(n)) if n > 1 else 0.0,
        "agreement": float(share.max()),
        "silent": float((classes < 0).mean()),
        "log_tokens": float(np.log(group["tokens"].to_numpy(dtype=float) + 1).mean()),
    }
    if "logprob" in group:
        found["confidence"] = float(group["logprob"].to_numpy(dtype=float).mean())
    if "step_logprobs" in group:
        found["worst_step"] = _worst_step(group["step_logprobs"], found.get("confidence", np.nan))
    if "scores" in group:
        by_scoring = path_scores(group["scores"].to_numpy(), ["last", "min"])
        last = by_scoring[:, 0]
        found |= {
            "prm_last": float(last.mean()),
            "prm_min": float(by_scoring[:, 1].mean()),
            "prm_best": float(last.max()),
            "prm_leading": float(last[leading].sum() / last.sum()) if last.sum() > 0 else 0.0,
        }
    return found


def _worst_step(steps: pd.Series, otherwise: float) -> float:
    """Mean over samples of their worst step; samples without steps are left out."""
    worst = [min(row) for row in steps if row is not None and len(row)]
    return float(np.mean(worst)) if worst else otherwise


def fit_predictor(features: pd.DataFrame, pass_at_1: np.ndarray, n_probe: int = N_PROBE) -> dict:
    """Fit Pass@1 on features.

    Args:
        features: of `probe_features`, one row per problem.
        pass_at_1: share of right held-out samples, (n_problems,).
        n_probe: samples per problem that the features came from.

    Returns:
        Plain values: features, mean, scale, coefficients, intercept, n_probe, n_problems.
    """
    x, y = features.to_numpy(dtype=float), np.asarray(pass_at_1, dtype=float)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    coefficients, intercept = _logistic((x - mean) / scale, y)
    return {
        "features": [str(name) for name in features.columns],
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "coefficients": coefficients.tolist(),
        "intercept": intercept,
        "n_probe": n_probe,
        "n_problems": len(y),
    }


def _logistic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Logistic regression of proportions: each problem counts y as right and 1 - y as wrong."""
    if y.max() <= 0 or y.min() >= 1:  # one class only: nothing to learn
        return np.zeros(x.shape[1]), 20.0 if y.min() >= 1 else -20.0
    model = LogisticRegression(C=STRENGTH, max_iter=1000)
    model.fit(
        np.concatenate([x, x]),
        np.repeat([1, 0], len(y)),
        sample_weight=np.concatenate([y, 1 - y]),
    )
    return model.coef_[0], float(model.intercept_[0])


def predict(predictor: dict, features: pd.DataFrame) -> np.ndarray:
    """Predicted Pass@1 of each problem.

    Raises:
        UserError: a feature that the predictor reads is unknown for these samples.
    """
    missing = [name for name in predictor["features"] if name not in features]
    if missing:
        raise UserError(f"predicted difficulty needs {', '.join(missing)} of the samples")
    x = features[predictor["features"]].to_numpy(dtype=float)
    standard = (x - np.array(predictor["mean"])) / np.array(predictor["scale"])
    return expit(standard @ np.array(predictor["coefficients"]) + predictor["intercept"])


def crossfit_predictions(
    features: pd.DataFrame, pass_at_1: np.ndarray, *, n_folds: int, n_repeats: int, seed: int
) -> np.ndarray:
    """Pass@1 of each problem as predicted by models that were fitted without it, (n_problems,).

    Repeated folds are averaged.
    """
    target = np.asarray(pass_at_1, dtype=float)
    folds = draw_folds(np.zeros(len(target), dtype=int), n_folds, n_repeats, seed)
    found = np.zeros(len(target))
    for fold_of in folds:
        for fold in range(n_folds):
            inside = fold_of == fold
            model = fit_predictor(features[~inside], target[~inside])
            found[inside] += predict(model, features[inside])
    return found / n_repeats


def predicted_difficulty(
    features: pd.DataFrame,
    difficulty: pd.DataFrame,
    *,
    easy: float = EASY,
    hard: float = HARD,
    n_folds: int = 5,
    n_repeats: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Cross-fitted predictions for a study's own problems.

    Args:
        features: of `probe_features`.
        difficulty: problem_id, pass_at_1, level of the same policy.
        easy: threshold of the levels.
        hard: threshold of the levels.
        n_folds: of the cross-fitting.
        n_repeats: of the cross-fitting.
        seed: of the folds.

    Returns:
        Columns problem_id, pass_at_1 (observed), predicted, predicted_level, source, level
        (observed).
    """
    observed = difficulty.set_index("problem_id").loc[features.index]
    target = observed["pass_at_1"].to_numpy(dtype=float)
    found = crossfit_predictions(features, target, n_folds=n_folds, n_repeats=n_repeats, seed=seed)
    return pd.DataFrame(
        {
            "problem_id": features.index.to_numpy(),
            "pass_at_1": target,
            "predicted": found,
            "predicted_level": levels(found, easy=easy, hard=hard),
            "source": "predicted",
            "level": observed["level"].to_numpy(),
        }
    )


def predict_cell(
    generations: pd.DataFrame,
    grades: pd.DataFrame,
    scores: Mapping[str, pd.DataFrame],
    difficulty: pd.DataFrame,
    settings: Settings,
    *,
    dataset: str,
    policy: str,
    easy: float = EASY,
    hard: float = HARD,
    n_probe: int = N_PROBE,
) -> tuple[pd.DataFrame, list[dict]]:
    """Cross-fitted predictions for one policy's problems, and predictors for new ones.

    Args:
        generations: rows of the pool that hold its first `n_probe` samples.
        grades: rows of the policy; only classes are read, no verdicts.
        scores: PRM -> its scores of those samples.
        difficulty: of `difficulty.estimate`; Pass@1 is the target.
        settings: folds, repeats and seed.
        dataset: its name.
        policy: its name.
        easy: threshold of the levels.
        hard: threshold of the levels.
        n_probe: samples per problem.

    Returns:
        Rows of `predicted_difficulty` with dataset, policy and prm ("none" without PRM); and one
        predictor per PRM, as the lookup holds them.
    """
    frames, predictors = [], []
    for prm in (NONE, *sorted(scores)):
        features = probe_features(probe_samples(generations, grades, scores.get(prm), n_probe))
        names = {"dataset": dataset, "policy": policy, "prm": prm}
        table = predicted_difficulty(
            features,
            difficulty,
            easy=easy,
            hard=hard,
            n_folds=settings.folds,
            n_repeats=settings.repeats,
            seed=derive(settings.seed, "predict", dataset),
        )
        frames.append(table.assign(**names))
        target = table["pass_at_1"].to_numpy()
        predictors.append(names | fit_predictor(features, target, n_probe))
    return pd.concat(frames, ignore_index=True), predictors


def calibration_table(predictions: pd.DataFrame, n_bins: int = 5) -> pd.DataFrame:
    """Predicted against observed Pass@1 in equally large bins: `tables/calibration.csv`.

    Args:
        predictions: rows of `predict_cell`, stacked.
        n_bins: bins of each predictor's problems.

    Returns:
        Columns dataset, policy, prm, bin (1 predicted hardest), n_problems, predicted, observed
        (means), mean_error (mean absolute error over all bins' problems), r_squared,
        level_agreement (share of problems whose predicted level is the observed one's).
    """
    rows, keys = [], [*CELL, "prm"]
    for key, group in predictions.groupby(keys, sort=True):
        error = group["predicted"] - group["pass_at_1"]
        spread = ((group["pass_at_1"] - group["pass_at_1"].mean()) ** 2).sum()
        overall = {
            "mean_error": float(error.abs().mean()),
            "r_squared": float(1 - (error**2).sum() / spread) if spread > 0 else float("nan"),
            "level_agreement": float((group["predicted_level"] == group["level"]).mean()),
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
