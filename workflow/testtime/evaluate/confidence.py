"""The policy's own confidence in a sample: weights for votes that need no PRM.

The geometric mean of the sample's token probabilities ("avg"), and that of its worst step ("min").

Source: the idea of local and global confidence in Fu et al. (2025), "Deep think with confidence";
there it is read off the top tokens' log-probabilities, here off those of the tokens drawn.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from testtime.evaluate.scoring import flatten, reduce_steps

SCORINGS = ("avg", "min")


def confidence_scorings(scorings: Iterable[str]) -> list[str]:
    """Those of a study's scorings that a confidence has; "avg" where it has none of them."""
    return [name for name in SCORINGS if name in set(scorings)] or ["avg"]


def has_confidence(generations: pd.DataFrame) -> bool:
    """Whether every sample has log-probabilities; samples made elsewhere may have none."""
    return "logprob" in generations and bool(generations["logprob"].notna().all())


def confidence(generations: pd.DataFrame, scorings: Iterable[str]) -> np.ndarray:
    """Confidence of each sample, between 0 and 1.

    Args:
        generations: columns logprob (mean per token) and step_logprobs (mean per token of each
            step), natural logarithms.
        scorings: among SCORINGS.

    Returns:
        Array (n_samples, n_scorings); 0 for the worst step of a sample without steps.
    """
    columns = []
    for scoring in scorings:
        if scoring == "avg":
            logs = generations["logprob"].to_numpy(dtype=float)
        else:
            flat, lengths = flatten(generations["step_logprobs"].to_numpy())
            logs = reduce_steps(flat, lengths, scoring, empty=-np.inf)
        columns.append(np.exp(logs))
    return np.stack(columns, axis=1)
