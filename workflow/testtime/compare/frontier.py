"""Tables 3, 4 and 6: small policies with compute-optimal TTS against larger ones' CoT.

Accuracy and FLOPs, and whether small overtakes large on the same problems.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from testtime.compare.published import beside_published, read_published
from testtime.errors import UserError
from testtime.evaluate.costs import pretraining_flops
from testtime.evaluate.statistics import (
    Difference,
    accuracy_interval,
    holm,
    paired_difference,
    pooled_difference,
)
from testtime.fit.cells import Cell, Settings, read_cells
from testtime.fit.select import Fit
from testtime.study.catalog import PolicySpec
from testtime.study.vocabulary import (
    ALL,
    ANY,
    BELOW,
    CHAIN,
    COT,
    INTERVAL,
    NONE,
    NOT_WORSE,
    OPEN,
    PASSES,
    TTS,
)

OVERTAKING = ["dataset", "small", "large", "size_ratio", "budget", "n_problems", "small_accuracy"]
OVERTAKING += ["large_accuracy", "difference", *INTERVAL, "p_value", "p_adjusted", "detectable"]
OVERTAKING += ["primary", "verdict"]


@dataclass(frozen=True)
class Claim:
    """What a study sets out to show, named before it runs; other comparisons are exploratory.

    Attributes:
        large: the policy whose CoT is to be passed; None for the largest one.
        budget: most N of the smaller policies; None for their largest.
        margin: a smaller policy is not worse if it is surely less than this below.
    """

    large: str | None = None
    budget: int | None = None
    margin: float = 0.02


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


def overtaking_table(
    fits: Sequence[Fit],
    outcomes: pd.DataFrame,
    policies: Mapping[str, PolicySpec],
    settings: Settings,
    claim: Claim,
) -> pd.DataFrame:
    """Does a smaller policy with compute-optimal TTS pass a larger one's CoT? Paired, per pair.

    With any PRM, at the largest budget that the claim allows. Several datasets are also taken
    together, as dataset "all". The primary comparisons are those with the claim's large policy, on
    all datasets together. They and the others are two families, each adjusted by Holm.

    Returns:
        Columns dataset, small, large, size_ratio, budget, n_problems, small_accuracy,
        large_accuracy, difference, ci_low, ci_high, p_value, p_adjusted, detectable (the smallest
        difference that such a comparison shows in 80 % of cases), primary, verdict: "passes" or
        "falls short of" where the adjusted p-value is below 1 - confidence, "not worse" where that
        of a difference beyond the margin is, else "cannot be told from".
    """
    cells = {(cell.dataset, cell.policy): cell for cell in read_cells(outcomes)}
    allowed = [fit for fit in fits if fit.prm == ANY and fit.budget <= (claim.budget or np.inf)]
    pairs = [
        pair for fit in largest_budget(allowed) for pair in _pairs(fit, cells, policies, settings)
    ]
    datasets = {dataset for dataset, *_ in pairs}
    if len(datasets) > 1:
        pairs += _pooled(pairs, settings)
    if not pairs:
        return pd.DataFrame(columns=OVERTAKING)
    table = pd.DataFrame([facts for *_, facts in pairs])
    target = claim.large or max(table["large"], key=lambda name: policies[name].parameters)
    whole = ALL if len(datasets) > 1 else table["dataset"].iloc[0]
    table["primary"] = (table["large"] == target) & (table["dataset"] == whole)
    found = [difference for *_, difference, _ in pairs]
    beyond = pd.Series([d.p_value_against(-claim.margin) for d in found])
    families = table["primary"]
    table["p_adjusted"] = table.groupby(families)["p_value"].transform(lambda p: holm(p.to_numpy()))
    beyond = beyond.groupby(families).transform(lambda p: holm(p.to_numpy()))
    table["verdict"] = [
        _verdict(difference, own, other, 1 - settings.confidence, claim.margin)
        for difference, own, other in zip(found, table["p_adjusted"], beyond, strict=True)
    ]
    return table[OVERTAKING]


Pair = tuple[str, str, str, Difference, dict]  # dataset, small, large


def _pairs(
    fit: Fit,
    cells: Mapping[tuple[str, str], Cell],
    policies: Mapping[str, PolicySpec],
    settings: Settings,
) -> Iterator[Pair]:
    """A small policy's choice against the CoT of every larger one."""
    size = policies[fit.policy].parameters
    for (dataset, policy), cell in cells.items():
        large, column = policies[policy].parameters, chain_column(cell)
        if dataset == fit.dataset and large > size and column is not None:
            chain = _chain(fit, cell, column)
            difference = paired_difference(fit.result.values - chain, settings.confidence)
            facts = {
                "size_ratio": large / size,
                "budget": fit.budget,
                "small_accuracy": fit.accuracy,
                "large_accuracy": float(chain.mean()),
            }
            yield _pair(dataset, fit.policy, policy, len(chain), difference, facts)


def _pair(
    dataset: str, small: str, large: str, n: int, difference: Difference, facts: dict
) -> Pair:
    row = {"dataset": dataset, "small": small, "large": large, "n_problems": n} | facts
    row |= {"difference": difference.mean, "ci_low": difference.low, "ci_high": difference.high}
    row |= {"p_value": difference.p_value, "detectable": difference.detectable}
    return dataset, small, large, difference, row


def _pooled(pairs: Sequence[Pair], settings: Settings) -> Iterator[Pair]:
    """The pairs of policies that are compared on several datasets, on all problems together."""
    for small, large in dict.fromkeys((small, large) for _, small, large, *_ in pairs):
        same = [
            (row["n_problems"], d, row) for _, *names, d, row in pairs if names == [small, large]
        ]
        if len(same) < 2:
            continue
        difference = pooled_difference([(n, d) for n, d, _ in same], settings.confidence)
        total = sum(n for n, *_ in same)
        facts = {
            key: sum(n * row[key] for n, _, row in same) / total
            for key in ("small_accuracy", "large_accuracy")
        }
        facts["size_ratio"] = same[0][2]["size_ratio"]
        facts["budget"] = max(row["budget"] for *_, row in same)
        yield _pair(ALL, small, large, total, difference, facts)


def _chain(fit: Fit, cell: Cell, column: int) -> np.ndarray:
    """Correctness of the larger policy's CoT on the problems of the smaller one's choice."""
    if not np.array_equal(fit.problem_ids, cell.problem_ids):
        raise UserError(
            f"outcomes of {fit.policy} and {cell.policy} on {cell.dataset} are of other problems"
        )
    return cell.correct[:, column]


def _verdict(
    difference: Difference, p_value: float, p_beyond: float, alpha: float, margin: float
) -> str:
    """What a comparison allows to say, by its adjusted p-values.

    Args:
        difference: of the two.
        p_value: of no difference.
        p_beyond: of one as large as the margin, to the disadvantage of the small policy.
        alpha: below it a p-value counts.
        margin: as of the claim.
    """
    middle = (difference.low + difference.high) / 2
    if p_value < alpha:
        return PASSES if middle > 0 else BELOW
    return NOT_WORSE if p_beyond < alpha and middle > -margin else OPEN


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
