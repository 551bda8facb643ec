import pytest
from testtime.study.blocks import (
    block_range,
    nested_blocks,
    select_shard,
    shard_around,
    shard_names,
)


def test_blocks_cover_the_largest_budget_once():
    assert nested_blocks([4, 16, 64]) == ["0-4", "4-16", "16-64"]
    assert [i for b in nested_blocks([4, 16, 64]) for i in block_range(b)] == list(range(64))


def test_raising_the_largest_budget_adds_one_block():
    assert set(nested_blocks([4, 16, 64, 256])) - set(nested_blocks([4, 16, 64])) == {"64-256"}


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_shards_share_the_problems_out(n):
    problems = list(range(20))
    names = shard_names(n)
    assert len(names) == n
    assert sorted(p for name in names for p in select_shard(problems, name)) == problems


@pytest.mark.parametrize(("n", "parts"), [(1, 3), (2, 2), (3, 1), (3, 4)])
def test_a_shard_of_scores_reads_one_shard_of_samples(n, parts):
    problems = list(range(29))
    for shard in shard_names(n * parts):
        samples = select_shard(problems, shard_around(shard, n))
        assert set(select_shard(problems, shard)) <= set(samples)
