"""Tables 3, 4 and 6: small policies with compute-optimal TTS against larger ones' CoT.

Accuracy and FLOPs, and whether small overtakes large on the same problems.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from testtime.compare.published import beside_published, read_published
from testtime.errors import UserError
from testtime.evaluate.costs import pretraining_flops
from testtime.evaluate.statistics import (
    SIGN_FLIPS,
    accuracy_interval,
    holm,
    percentiles,
    sign_flip_p_value,
)
from testtime.fit.cells import Cell, Settings, cell_weights, read_cells
from testtime.fit.select import Fit
from testtime.study.catalog import PolicySpec
from testtime.study.vocabulary import ANY, CHAIN, COT, INTERVAL, NONE, TTS

OVERTAKING = ["dataset", "small", "large", "size_ratio", "budget", "n_problems", "small_accuracy"]
OVERTAKING += ["large_accuracy", "difference", *INTERVAL, "p_value", "p_adjusted"]


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
        n_problems, accuracy, ci_low, ci_high, policy_tokens, prm_tokens, flops (means per problem),
        published (NaN where the paper has no such model).
    """
    rows = []
    for cell in read_cells(outcomes):
        column = chain_column(cell)
        if column is None:
            continue
        right = cell.correct[:, column]
        low, high = accuracy_interval(right, cell_weights(cell, settings), settings.confidence)
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
            | {"budget": fit.budget, "n_problems": len(fit.values), "accuracy": fit.accuracy}
            | {"ci_low": fit.low, "ci_high": fit.high, **fit.costs}
        )
    found = pd.DataFrame(rows)
    found.insert(2, "parameters", [policies[name].parameters for name in found["policy"]])
    found = found.sort_values(["dataset", "parameters", "policy", "setting", "prm", "budget"])
    return beside_published(found.reset_index(drop=True), "table3_frontier")


def overtaking_table(
    fits: Sequence[Fit],
    outcomes: pd.DataFrame,
    policies: Mapping[str, PolicySpec],
    settings: Settings,
) -> pd.DataFrame:
    """Does a smaller policy with compute-optimal TTS reach a larger one's CoT? Paired, per pair.

    At each dataset's largest budget, with any PRM. The interval reruns the selection in each
    resample; the p-value is a sign-flip permutation test of the problems' differences, adjusted by
    Holm for all pairs of the dataset in `p_adjusted`.

    Returns:
        Columns dataset, small, large, size_ratio, budget, n_problems, small_accuracy,
        large_accuracy, difference, ci_low, ci_high, p_value, p_adjusted.
    """
    cells = {(cell.dataset, cell.policy): cell for cell in read_cells(outcomes)}
    best = largest_budget([fit for fit in fits if fit.prm == ANY])
    rows = []
    for fit in best:
        size = policies[fit.policy].parameters
        for (dataset, policy), cell in cells.items():
            large = policies[policy].parameters
            column = chain_column(cell)
            if dataset != fit.dataset or large <= size or column is None:
                continue
            rows.append(
                {"dataset": dataset, "small": fit.policy, "large": policy}
                | {"size_ratio": large / size, "budget": fit.budget}
                | _compare(fit, cell, column, settings)
            )
    table = pd.DataFrame(rows, columns=OVERTAKING)
    if len(table):
        adjusted = table.groupby("dataset")["p_value"].transform(lambda p: holm(p.to_numpy()))
        table["p_adjusted"] = adjusted
    return table


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


def _compare(fit: Fit, cell: Cell, column: int, settings: Settings) -> dict:
    if not np.array_equal(fit.problem_ids, cell.problem_ids):
        raise UserError(
            f"outcomes of {fit.policy} and {cell.policy} on {cell.dataset} are of other problems"
        )
    chain = cell.correct[:, column]
    resampled = fit.result.accuracy[1:] - cell_weights(cell, settings) @ chain
    low, high = percentiles(resampled, len(chain), settings.confidence)
    differences = fit.values - chain
    return {
        "n_problems": len(chain),
        "small_accuracy": fit.accuracy,
        "large_accuracy": float(chain.mean()),
        "difference": float(differences.mean()),
        "ci_low": low,
        "ci_high": high,
        "p_value": sign_flip_p_value(differences, SIGN_FLIPS, settings.seed),
    }


def chain_column(cell: Cell) -> int | None:
    """Index of CoT among the cell's strategies, None if the study has none."""
    found = np.flatnonzero(cell.strategies["method"] == COT)
    return int(found[0]) if len(found) else None


def largest_budget(fits: Sequence[Fit]) -> list[Fit]:
    """Of each (dataset, policy, prm), the fit with the largest budget."""
    best: dict[tuple, Fit] = {}
    for fit in fits:
        key = (fit.dataset, fit.policy, fit.prm)
        if key not in best or fit.budget > best[key].budget:
            best[key] = fit
    return list(best.values())
