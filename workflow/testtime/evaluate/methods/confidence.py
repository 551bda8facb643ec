"""The policy's own confidence as the weight of a sample.

Source: the idea of local and global confidence in Fu et al. (2025), "Deep think with confidence";
there it comes from the top tokens' log-probabilities, here from those of the drawn tokens.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.evaluate.scoring import flatten, reduce_steps


def confidence(samples: pd.DataFrame, scorings: Sequence[str]) -> np.ndarray | None:
    """The policy's own confidence in a sample, as the weight of its vote: needs no PRM.

    The geometric mean of the sample's token probabilities ("avg"), that of its worst step ("min")
    and of its last ("last"), 0 for steps of a sample without any. Samples made elsewhere may have
    no log-probabilities.
    """
    if "logprob" not in samples or not samples["logprob"].notna().all():
        return None
    columns = []
    for scoring in scorings:
        if scoring == "avg":
            logs = samples["logprob"].to_numpy(dtype=float)
        else:
            flat, lengths = flatten(samples["step_logprobs"].to_numpy())
            logs = reduce_steps(flat, lengths, scoring, empty=-np.inf)
        columns.append(np.exp(logs))
    return np.stack(columns, axis=1)
