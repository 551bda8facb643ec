"""Do smaller policies with compute-optimal TTS pass larger ones' CoT, on the same problems?

At the largest N, at no more FLOPs than that CoT takes, and with other thresholds of the levels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from testtime.errors import UserError
from testtime.evaluate.difficulty import levels
from testtime.evaluate.statistics import Difference, holm, paired_difference, pooled_difference
from testtime.fit.cells import (
    Cell,
    Settings,
    candidates,
    chain_column,
    contexts,
    read_cells,
    spending_cells,
)
from testtime.fit.cost_axis import fit_within
from testtime.fit.select import Fit, fit_context, largest_budget
from testtime.study.catalog import PolicySpec
from testtime.study.vocabulary import (
    ALL,
    ANY,
    BELOW,
    CELL,
    CHOSEN,
    COT,
    EASY,
    HARD,
    INTERVAL,
    NOT_WORSE,
    OPEN,
    PASSES,
)

OVERTAKING = ["dataset", "small", "large", "size_ratio", "budget", "n_problems", "small_accuracy"]
OVERTAKING += ["large_accuracy", "difference", *INTERVAL, "p_value", "p_adjusted", "detectable"]
OVERTAKING += ["run_sd", "small_flops", "large_flops", "primary", "verdict"]
THRESHOLDS = [EASY, HARD, "n_moved", "dataset", "small", "large", "budget", "small_accuracy"]
THRESHOLDS += ["large_accuracy", "difference", *INTERVAL, "p_adjusted", "verdict"]


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

    Args:
        fits: of `fit_study`, one binning.
        outcomes: rows of `tables/outcomes.parquet`.
        policies: specs by name, for their sizes.
        settings: as the fits'.
        claim: of the study.

    Returns:
        Columns dataset, small, large, size_ratio, budget, n_problems, small_accuracy,
        large_accuracy, difference, ci_low, ci_high, p_value, p_adjusted, detectable (the smallest
        difference that such a comparison shows in 80 % of cases), run_sd (standard deviation of the
        difference over runs with other samples on these problems; missing where unknown),
        small_flops, large_flops (means per problem), primary, verdict: "passes" or "falls short of"
        where the adjusted p-value is below 1 - confidence, "not worse" where that of a difference
        beyond the margin is, else "cannot be told from".
    """
    cells = {(cell.dataset, cell.policy): cell for cell in read_cells(outcomes)}
    allowed = [fit for fit in fits if fit.prm == ANY and fit.budget <= (claim.budget or np.inf)]
    pairs = [
        _pair_of(fit, large, policies, settings)
        for fit in largest_budget(allowed)
        for large in _larger(fit.dataset, fit.policy, cells, policies)
    ]
    compared = [(dataset, large) for dataset, _, large, *_ in pairs]
    return _judge(pairs, compared, policies, settings, claim)


def equal_flops_table(
    outcomes: pd.DataFrame,
    difficulty: pd.DataFrame,
    policies: Mapping[str, PolicySpec],
    settings: Settings,
    claim: Claim,
) -> pd.DataFrame:
    """As `overtaking_table`, the smaller policy spending no more FLOPs than the larger one's CoT.

    On the problems of each level, and so in all, with at most the N of the claim; a pair has no row
    where nothing is so cheap.

    Args:
        outcomes: rows of `tables/outcomes.parquet`.
        difficulty: as for `fit_study`.
        policies: as for `overtaking_table`.
        settings: as for `fit_study`.
        claim: of the study.

    Returns:
        The columns of `overtaking_table`; the budget is that CoT's FLOPs per problem.
    """
    cells = {(cell.dataset, cell.policy): cell for cell in read_cells(outcomes)}
    pairs, compared = [], []
    for small in spending_cells(outcomes):
        spends = small.strategies["budget"] <= (claim.budget or np.inf)
        open_to = small.take((spends | (small.strategies["method"] == COT)).to_numpy())
        for large in _larger(small.dataset, small.policy, cells, policies):
            compared.append((large.dataset, large.policy))
            fit = fit_within(open_to, _chain_flops(large), difficulty, settings, axis="flops")
            if fit is not None:
                pairs.append(_pair_of(fit, large, policies, settings))
    return _judge(pairs, compared, policies, settings, claim)


def thresholds_table(
    outcomes: pd.DataFrame,
    difficulty: pd.DataFrame,
    policies: Mapping[str, PolicySpec],
    settings: Settings,
    claim: Claim,
    thresholds: Mapping[str, float],
) -> pd.DataFrame:
    """The primary comparisons with other levels: both thresholds lower, as they are, and higher.

    They are moved by the standard error of Pass@1 at the threshold, which is how far chance may
    have carried a problem across it.

    Args:
        outcomes: as for `equal_flops_table`.
        difficulty: pass_at_1 and n_samples of each problem besides.
        policies: as for `overtaking_table`.
        settings: as for `fit_study`.
        claim: of the study.
        thresholds: "easy" and "hard", see `difficulty.levels`.

    Returns:
        Columns easy, hard, n_moved (problems of the small policy whose level is another one), then
        those of `overtaking_table`, without p_value, detectable, run_sd and FLOPs.
    """
    tables = []
    samples = difficulty.groupby(CELL)["n_samples"].transform("median")
    for step in (-1, 0, 1):
        moved = {
            name: (t + step * np.sqrt(t * (1 - t) / samples)).clip(0, 1)
            for name, t in thresholds.items()
        }
        other = difficulty.assign(level=levels(difficulty["pass_at_1"], **moved), **moved)
        fits = [
            fit_context(candidates(cell, ANY, n), ANY, n, other, settings, binning=CHOSEN)
            for cell in spending_cells(outcomes)
            if (n := _claimed_budget(cell, claim))
        ]
        table = overtaking_table(fits, outcomes, policies, settings, claim)
        table = table[table["primary"].astype(bool)].copy()
        changed = other[other["level"] != difficulty["level"]]["policy"].value_counts()
        table["n_moved"] = [int(changed.get(name, 0)) for name in table["small"]]
        own = other.groupby("policy")[list(thresholds)].first()
        for name in thresholds:
            table[name] = table["small"].map(own[name])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)[THRESHOLDS]


def _claimed_budget(cell: Cell, claim: Claim) -> int | None:
    """The largest N of a policy that the claim allows."""
    budgets = [n for prm, n in contexts(cell) if prm == ANY and n <= (claim.budget or np.inf)]
    return max(budgets, default=None)


def _larger(
    dataset: str,
    policy: str,
    cells: Mapping[tuple[str, str], Cell],
    policies: Mapping[str, PolicySpec],
) -> Iterator[Cell]:
    """The cells of all larger policies that have CoT."""
    for (other, name), cell in cells.items():
        larger = policies[name].parameters > policies[policy].parameters
        if other == dataset and larger and chain_column(cell) is not None:
            yield cell


def _chain_flops(cell: Cell) -> float:
    return float(cell.costs["flops"][:, chain_column(cell)].mean())


Pair = tuple[str, str, str, Difference, dict]  # dataset, small, large


def _judge(
    pairs: list[Pair],
    compared: Sequence[tuple[str, str]],
    policies: Mapping[str, PolicySpec],
    settings: Settings,
    claim: Claim,
) -> pd.DataFrame:
    """Pairs and what they allow to say, several datasets together too.

    Args:
        pairs: those that have a choice.
        compared: dataset and large policy of all, also of those that have none.
        policies: as for `overtaking_table`.
        settings: as for `overtaking_table`.
        claim: of the study.
    """
    datasets = {dataset for dataset, _ in compared}
    if len(datasets) > 1:
        pairs = [*pairs, *_pooled(pairs, len(datasets), settings)]
    if not pairs:
        return pd.DataFrame(columns=OVERTAKING)
    table = pd.DataFrame([facts for *_, facts in pairs])
    largest = max((large for _, large in compared), key=lambda name: policies[name].parameters)
    target = claim.large or largest
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


def _pair_of(fit: Fit, large: Cell, policies: Mapping[str, PolicySpec], settings: Settings) -> Pair:
    """A small policy's choice against the CoT of a larger one."""
    column = chain_column(large)
    chain = _chain(fit, large, column)
    difference = paired_difference(fit.result.values - chain, settings.confidence)
    runs = large.run_variance[:, column].sum() / len(chain) ** 2
    facts = {
        "size_ratio": policies[large.policy].parameters / policies[fit.policy].parameters,
        "budget": fit.budget,
        "small_accuracy": fit.accuracy,
        "large_accuracy": float(chain.mean()),
        "run_sd": float(np.sqrt(fit.run_sd**2 + runs)),
        "small_flops": fit.costs["flops"],
        "large_flops": _chain_flops(large),
    }
    return _pair(fit.dataset, fit.policy, large.policy, len(chain), difference, facts)


def _pair(
    dataset: str, small: str, large: str, n: int, difference: Difference, facts: dict
) -> Pair:
    row = {"dataset": dataset, "small": small, "large": large, "n_problems": n} | facts
    row |= {"difference": difference.mean, "ci_low": difference.low, "ci_high": difference.high}
    row |= {"p_value": difference.p_value, "detectable": difference.detectable}
    return dataset, small, large, difference, row


def _pooled(pairs: Sequence[Pair], n_datasets: int, settings: Settings) -> Iterator[Pair]:
    """The pairs of policies that are compared on every dataset, on all problems together."""
    for small, large in dict.fromkeys((small, large) for _, small, large, *_ in pairs):
        same = [
            (row["n_problems"], d, row) for _, *names, d, row in pairs if names == [small, large]
        ]
        if len(same) < n_datasets:
            continue
        difference = pooled_difference([(n, d) for n, d, _ in same], settings.confidence)
        total = sum(n for n, *_ in same)
        facts = {
            key: sum(n * row[key] for n, _, row in same) / total
            for key in ("small_accuracy", "large_accuracy", "small_flops", "large_flops")
        }
        parts = [row["n_problems"] / total * row["run_sd"] for *_, row in same]
        facts["run_sd"] = float(np.sqrt(np.square(parts).sum()))
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
