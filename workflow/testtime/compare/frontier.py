"""Tables 3, 4 and 6: accuracy and FLOPs of every policy's CoT and of its compute-optimal TTS."""

from collections.abc import Mapping, Sequence

import pandas as pd

from testtime.compare.published import beside_published, read_published
from testtime.evaluate.costs import pretraining_flops
from testtime.evaluate.statistics import accuracy_interval
from testtime.fit.cells import Settings, chain_column, read_cells
from testtime.fit.select import Fit, largest_budget
from testtime.study.catalog import PolicySpec
from testtime.study.vocabulary import ANY, CHAIN, NONE, TTS


def frontier_table(
    fits: Sequence[Fit],
    outcomes: pd.DataFrame,
    policies: Mapping[str, PolicySpec],
    settings: Settings,
) -> pd.DataFrame:
    """Accuracy and cost of every policy's CoT and of its cross-fitted compute-optimal TTS.

    Args:
        fits: of `fit_study`, one binning.
        outcomes: rows of `tables/outcomes.parquet`.
        policies: specs by name, for their sizes.
        settings: as the fits'.

    Returns:
        Columns dataset, policy, parameters, setting ("CoT" or "compute-optimal TTS"), prm, budget,
        n_problems, accuracy, ci_low, ci_high, policy_tokens, prm_tokens, flops, latency_s, kv_gb
        (means per problem), published (NaN where the paper has no such model).
    """
    rows = []
    for cell in read_cells(outcomes):
        column = chain_column(cell)
        if column is None:
            continue
        right = cell.correct[:, column]
        low, high = accuracy_interval(right, settings.confidence)
        costs = {name: float(values[:, column].mean()) for name, values in cell.costs.items()}
        base = {"dataset": cell.dataset, "policy": cell.policy, "setting": CHAIN, "prm": NONE}
        rows.append(
            base
            | {"budget": 1, "n_problems": len(right), "accuracy": float(right.mean())}
            | {"ci_low": float(low), "ci_high": float(high), **costs}
        )
    for fit in fits:
        base = {"dataset": fit.dataset, "policy": fit.policy, "setting": TTS, "prm": fit.prm}
        rows.append(
            base
            | {"budget": fit.budget, "n_problems": len(fit.problem_ids), "accuracy": fit.accuracy}
            | {"ci_low": fit.low, "ci_high": fit.high, **fit.costs}
        )
    found = pd.DataFrame(rows)
    found.insert(2, "parameters", [policies[name].parameters for name in found["policy"]])
    found = found.sort_values(["dataset", "parameters", "policy", "setting", "prm", "budget"])
    return beside_published(found.reset_index(drop=True), "table3_frontier")


def flops_table(
    fits: Sequence[Fit],
    outcomes: pd.DataFrame,
    policies: Mapping[str, PolicySpec],
    settings: Settings,
) -> pd.DataFrame:
    """FLOPs of each policy's CoT and of its compute-optimal TTS at the largest budget.

    Inference is that of the whole dataset, as in the paper; unlike there, tokens that the PRM reads
    are counted (2·P·tokens with the PRM's P). Pretraining is the policy's; the PRM's is unknown.

    Returns:
        Columns dataset, policy, parameters, setting, budget, accuracy, pretraining_flops (NaN if
        the catalog has no number of tokens), inference_flops, total_flops, and the paper's
        published_pretraining, published_inference if it has the model.
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
