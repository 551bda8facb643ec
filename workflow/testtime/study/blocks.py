"""How a study's work is divided: blocks of the nested pools, shards of the problems."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from testtime.study.vocabulary import COT, DIFFICULTY

if TYPE_CHECKING:
    from testtime.study.catalog import PolicySpec

SINGLE = (COT, DIFFICULTY)  # blocks outside the nested pool

T = TypeVar("T")


def nested_blocks(budgets: Sequence[int]) -> list[str]:
    """The nested blocks of ascending budgets: 4, 16, 64 give 0-4, 4-16, 16-64.

    Raising the largest budget leaves every earlier block as it is.
    """
    return [f"{low}-{high}" for low, high in zip([0, *budgets], budgets, strict=False)]


def pool_budgets(policy: "PolicySpec", budgets: Sequence[int], held_out: int) -> list[int]:
    """The budgets that a policy's pool can have: all, unless its samples come from a short file.

    Args:
        policy: its entry.
        budgets: of the study's pool.
        held_out: samples per problem that are kept for difficulty.
    """
    if policy.n_samples is None:
        return list(budgets)
    return [budget for budget in budgets if budget <= policy.n_samples - held_out]


def headline_budget(budgets: dict[str, list[int]]) -> int:
    """The budget of figures that show only one: the largest that search and pool share.

    Args:
        budgets: the study's `budgets`, with keys "pool" and "search".
    """
    shared = set(budgets["pool"]) & set(budgets["search"])
    return max(shared) if shared else max(budgets["pool"])


def block_range(block: str) -> range:
    """Indices of the samples (or, for DVTS, of N) in a block."""
    low, high = block.split("-")
    return range(int(low), int(high))


def shard_names(n: int) -> list[str]:
    """Shards "1-of-3", "2-of-3", ..."""
    return [f"{i}-of-{n}" for i in range(1, n + 1)]


def shard_around(shard: str, n: int) -> str:
    """The shard of n that all problems of another shard are in, of a multiple of n."""
    i, _ = map(int, shard.split("-of-"))
    return f"{(i - 1) % n + 1}-of-{n}"


def shard_size(n_problems: int, shard: str) -> int:
    """Number of problems in a shard."""
    return len(select_shard(range(n_problems), shard))


def select_shard(problems: Sequence[T], shard: str) -> list[T]:
    """The problems of a shard: every n-th, so that shards are alike in difficulty."""
    i, n = map(int, shard.split("-of-"))
    return list(problems[i - 1 :: n])
