"""Best-of-N: samples weighted by a PRM's scores of their steps."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from testtime.evaluate.scoring import path_scores


def best_of_n(samples: pd.DataFrame, scorings: Sequence[str]) -> np.ndarray:
    """N independent solutions, each scored by the PRM: Cobbe et al. (2021), arXiv 2110.14168."""
    return path_scores(samples["scores"].to_numpy(), scorings)
