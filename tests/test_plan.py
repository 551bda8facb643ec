import pytest
from testtime.study.blocks import block_range, nested_blocks, select_shard, shard_names


def test_blocks_cover_the_largest_budget_once():
    assert nested_blocks([4, 16, 64]) == ["0-4", "4-16", "16-64"]
    assert [i for b in nested_blocks([4, 16, 64]) for i in block_range(b)] == list(range(64))


def test_raising_the_largest_budget_adds_one_block():
    assert set(nested_blocks([4, 16, 64, 256])) - set(nested_blocks([4, 16, 64])) == {"64-256"}


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_shards_share_the_problems_out(n):
    problems = list(range(20))
    names = shard_names(20, seconds=n * 100 - 1, job_seconds=100)
    assert len(names) == n
    assert sorted(p for name in names for p in select_shard(problems, name)) == problems


def test_no_rate_means_one_shard():
    assert shard_names(500, seconds=0, job_seconds=3600) == ["1-of-1"]
