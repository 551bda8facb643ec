"""Table 4: FLOPs of pre-training and of inference, small policies with TTS against large CoT."""

from collections.abc import Mapping, Sequence

import pandas as pd

from testtime.compare.frontier import frontier_table, largest_budget
from testtime.compare.published import read_published
from testtime.evaluate.costs import pretraining_flops
from testtime.fit.cells import ANY
from testtime.fit.selection import Fit, Settings
from testtime.study.catalog import PolicySpec


def flops_table(
    fits: Sequence[Fit],
    outcomes: pd.DataFrame,
    policies: Mapping[str, PolicySpec],
    settings: Settings,
) -> pd.DataFrame:
    """Compute behind each policy's CoT and behind its compute-optimal TTS at the largest budget.

    Inference is that of the whole dataset, as in the paper; unlike there, tokens that the PRM reads
    are counted (2·P·tokens with the PRM's P). Pretraining is the policy's; the PRM's is not known.

    Returns:
        Columns dataset, policy, parameters, setting, budget, accuracy, pretraining_flops (NaN where
        the catalog knows no number of tokens), inference_flops, total_flops, and the paper's
        published_pretraining, published_inference where it has the model.
    """
    best = largest_budget([fit for fit in fits if fit.prm == ANY])
    rows = frontier_table(best, outcomes, policies, settings)
    specs = [policies[name] for name in rows["policy"]]
    rows["pretraining_flops"] = [
        pretraining_flops(spec.parameters, spec.pretraining_tokens)
        if spec.pretraining_tokens
        else float("nan")
        for spec in specs
    ]
    rows["inference_flops"] = rows["flops"] * rows["n_problems"]
    rows["total_flops"] = rows["pretraining_flops"] + rows["inference_flops"]
    known = read_published("table4_flops")
    known = known[known["policy"] != ""].rename(
        columns={
            "pretraining_flops": "published_pretraining",
            "inference_flops": "published_inference",
        }
    )
    columns = ["dataset", "policy", "parameters", "setting", "budget", "accuracy"]
    columns += ["pretraining_flops", "inference_flops", "total_flops"]
    keys = ["policy", "setting"]
    published = known[[*keys, "published_pretraining", "published_inference"]]
    return rows[columns].merge(published, on=keys, how="left")
