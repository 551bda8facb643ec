"""Tables over problems: accuracy of every strategy, Pass@k, and steps that PRMs could not read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from testtime.data.samples import whole_thoughts
from testtime.data.store import read_lengths, read_parquet
from testtime.errors import UserError
from testtime.evaluate.estimators import pass_at_k
from testtime.evaluate.pool import Pool, make_pool
from testtime.evaluate.statistics import accuracy_interval
from testtime.study.vocabulary import ALL, CELL, DRAWN, LEVELS, POOL, SPENT, STRATEGY

SCORED = [*CELL, "prm", "method"]
COUNTS = ["paths", "cut_paths", "unread_paths", "untrained_paths", "steps", "unscored_steps"]


def accuracy_table(
    outcomes: pd.DataFrame,
    difficulty: pd.DataFrame,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Accuracy and mean cost of every strategy, over all problems and per difficulty bin.

    Args:
        outcomes: of one or more datasets and policies, see `evaluate_policy`.
        difficulty: dataset, policy, problem_id, level (easy, medium, hard), quantile (q1, ...); a
            policy without any has rows over all problems only.
        level: coverage of the intervals.

    Returns:
        dataset, policy, the strategy, difficulty, n_problems, accuracy, ci_low, ci_high, run_sd
        (standard deviation of the accuracy of one run on these problems, over runs with other
        samples; missing where unknown), samples and samples_sd (how many were drawn: mean and
        standard deviation over problems and runs; of a search, N) and the mean costs. A bin without
        problems has no rows.

    Raises:
        UserError: a problem has no difficulty.
    """
    tables = []
    for (dataset, policy), rows in outcomes.groupby(CELL, sort=True):
        known = difficulty[(difficulty["dataset"] == dataset) & (difficulty["policy"] == policy)]
        wide = rows.pivot(
            index="problem_id",
            columns=STRATEGY,
            values=["correct", "run_variance", *DRAWN, *SPENT],
        )
        for name, chosen in _bins(wide.index, known, f"{policy} on {dataset}"):
            table = _summarise(wide[chosen], level)
            table.insert(len(STRATEGY), "difficulty", name)
            table.insert(0, "dataset", dataset)
            table.insert(1, "policy", policy)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _bins(
    problem_ids: pd.Index, known: pd.DataFrame, where: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and mask of every bin with problems: all, by level, by quantile."""
    yield ALL, np.ones(len(problem_ids), dtype=bool)
    if known.empty:
        return
    bins = known.set_index("problem_id").reindex(problem_ids)
    if bins["level"].isna().any():
        missing = bins.index[bins["level"].isna()][0]
        raise UserError(f"{where}: problem {missing} has no difficulty; estimate it again")
    for name in LEVELS:
        if (bins["level"] == name).any():
            yield name, (bins["level"] == name).to_numpy()
    for name in sorted(bins["quantile"].dropna().unique(), key=lambda q: (len(q), q)):
        yield name, (bins["quantile"] == name).to_numpy()


def _summarise(wide: pd.DataFrame, level: float) -> pd.DataFrame:
    """One row per strategy of a table with the columns (value, *STRATEGY)."""
    correct = wide["correct"]
    table = correct.columns.to_frame(index=False)
    values = correct.to_numpy(dtype=float)
    low, high = accuracy_interval(values, level)
    runs = wide["run_variance"][correct.columns].to_numpy(dtype=float)
    table = table.assign(
        n_problems=len(wide),
        accuracy=values.mean(axis=0),
        ci_low=low,
        ci_high=high,
        run_sd=np.sqrt(runs.sum(axis=0)) / len(wide),
    )
    drawn, spread = (wide[name][correct.columns].to_numpy(dtype=float) for name in DRAWN)
    variance = drawn.var(axis=0) + (spread**2).mean(axis=0)
    table = table.assign(samples=drawn.mean(axis=0), samples_sd=np.sqrt(variance))
    for cost in SPENT:
        table[cost] = wide[cost][correct.columns].to_numpy(dtype=float).mean(axis=0)
    return table.sort_values(STRATEGY, kind="stable", ignore_index=True)


def pass_at_k_table(
    grades: pd.DataFrame,
    *,
    budgets: Sequence[int],
    level: float = 0.95,
) -> pd.DataFrame:
    """Pass@k of every policy on every dataset, over its pool, with all of its thinking.

    Args:
        grades: with columns dataset and policy; only rows of the method "pool" count.
        budgets: values of k, besides the powers of two up to the pool's size.
        level: coverage of the intervals.

    Returns:
        dataset, policy, k, pass_at_k, ci_low, ci_high, n_problems.
    """
    tables = []
    for dataset, policy, pool in graded_pools(grades):
        ks = sorted(
            {2**i for i in range(pool.n.bit_length())} | {k for k in budgets if k <= pool.n}
        )
        values = np.stack([pass_at_k(pool.correct, k) for k in ks], axis=1)
        low, high = accuracy_interval(values, level)
        tables.append(
            pd.DataFrame(
                {
                    "dataset": dataset,
                    "policy": policy,
                    "k": ks,
                    "pass_at_k": values.mean(axis=0),
                    "ci_low": low,
                    "ci_high": high,
                    "n_problems": len(values),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def graded_pools(grades: pd.DataFrame) -> Iterator[tuple[str, str, Pool]]:
    """Dataset, policy and pool of each cell, with all of its thinking.

    Args:
        grades: with columns dataset and policy; only rows of the method "pool" count.
    """
    pooled = whole_thoughts(grades[grades["method"] == POOL])
    for (dataset, policy), rows in pooled.groupby(CELL, sort=True):
        samples = rows[["problem_id", "path"]].reset_index(drop=True)
        yield dataset, policy, make_pool(samples, "path", rows, f"pool of {policy} on {dataset}")


def unscored_table(
    generations: Sequence[str],
    scores: Sequence[str],
    searches: Sequence[str],
    trained: Mapping[str, int | None],
) -> pd.DataFrame:
    """Count paths and steps without a score, and paths that were read beyond what PRMs know.

    A path is scored by the steps that the PRM could read: its minimum, mean or last is over these,
    and a path with none scores 0.

    Args:
        generations: files `generations/DATASET/POLICY/BLOCK/SHARD.parquet`, at least those scored.
        scores: files `scores/DATASET/POLICY/PRM/BLOCK/SHARD.parquet`, in their samples' order.
        searches: files `searches/DATASET/POLICY/PRM/METHOD/BLOCK/SHARD.parquet`.
        trained: most tokens of a text that each PRM was trained on, None where it reads no more.

    Returns:
        One row per dataset, policy, PRM and method (best_of_n: the pool): paths; cut_paths, whose
        last steps have no score; unread_paths, of which no step has one; untrained_paths, whose
        last scored step ends beyond what the PRM was trained on; steps; unscored_steps.
    """
    rows = [*_pooled(generations, scores, trained), *_searched(searches, trained)]
    table = pd.DataFrame(rows, columns=[*SCORED, *COUNTS])
    return table.groupby(SCORED, as_index=False, sort=True)[COUNTS].sum()


def _pooled(
    generations: Iterable[str], scores: Iterable[str], trained: Mapping[str, int | None]
) -> Iterator[tuple]:
    written = {}
    for path in generations:
        lengths, of = read_lengths(path, "steps")
        written[of["dataset"], of["policy"], of["block"], of["shard"]] = lengths
    for path in scores:
        lengths, of = read_lengths(path, "scores")
        steps = written[of["dataset"], of["policy"], of["block"], of["shard"]]
        beyond = _beyond(path, "prm_tokens", trained[of["prm"]])
        yield of["dataset"], of["policy"], of["prm"], "best_of_n", *_count(steps, lengths, beyond)


def _searched(searches: Iterable[str], trained: Mapping[str, int | None]) -> Iterator[tuple]:
    for path in searches:
        lengths, of = read_lengths(path, "scores")
        kept = read_parquet(path, columns=["kept"])["kept"].to_numpy()
        beyond = _beyond(path, "read_tokens", trained[of["prm"]], kept)
        counts = _count(read_lengths(path, "steps")[0][kept], lengths[kept], beyond)
        yield of["dataset"], of["policy"], of["prm"], of["method"], *counts


def _beyond(
    path: str, column: str, trained: int | None, rows: np.ndarray | slice = slice(None)
) -> int:
    """Number of texts of a file of which a PRM read more than it was trained on."""
    if trained is None:
        return 0
    return int((read_parquet(path, columns=[column])[column] > trained)[rows].sum())


def _count(
    steps: np.ndarray, scores: np.ndarray, beyond: int
) -> tuple[int, int, int, int, int, int]:
    cut, unread = scores < steps, (scores == 0) & (steps > 0)
    return len(steps), cut.sum(), unread.sum(), beyond, steps.sum(), (steps - scores).sum()
