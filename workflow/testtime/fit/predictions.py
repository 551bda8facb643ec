"""Predicted difficulty of a study's own problems, with every PRM and with none."""

from collections.abc import Mapping

import pandas as pd

from testtime.evaluate.difficulty import EASY, HARD
from testtime.fit.cells import NONE
from testtime.fit.predict import (
    N_PROBE,
    fit_predictor,
    predicted_difficulty,
    probe_features,
    probe_samples,
)
from testtime.fit.selection import Settings
from testtime.study.seeds import derive


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
        grades: rows of the policy; no verdict is read, only classes.
        scores: PRM -> its scores of those samples.
        difficulty: of `difficulty.estimate`; Pass@1 is what is learned.
        settings: folds, repeats and seed.
        dataset: its name.
        policy: its name.
        easy: threshold of the levels.
        hard: threshold of the levels.
        n_probe: samples per problem.

    Returns:
        Rows of `predicted_difficulty` with dataset, policy, prm ("none" without PRM) and the
        observed level; and one predictor per PRM, as the lookup holds them.
    """
    observed = difficulty.set_index("problem_id")
    frames, predictors = [], []
    for prm in (NONE, *sorted(scores)):
        samples = probe_samples(generations, grades, scores.get(prm), n_probe)
        features = probe_features(samples)
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
        table["level"] = observed.loc[table["problem_id"], "level"].to_numpy()
        frames.append(table.assign(**names))
        target = observed.loc[features.index, "pass_at_1"].to_numpy(dtype=float)
        predictors.append(names | fit_predictor(features, target, n_probe))
    return pd.concat(frames, ignore_index=True), predictors
