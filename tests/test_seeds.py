import numpy as np
from scipy import stats
from testtime.study.seeds import derive, uniforms


def test_same_parts_give_the_same_seed_and_other_parts_another():
    assert derive(1, "d", "p", 0) == derive(1, "d", "p", 0)
    assert len({derive(1, "d", "p", i) for i in range(10_000)}) == 10_000


def test_parts_are_kept_apart():
    assert derive("ab", "c") != derive("a", "bc")


def test_seeds_are_non_negative_and_fit_in_63_bits():
    assert all(0 <= derive(i) < 2**63 for i in range(1000))


def test_uniforms_are_uniform_and_uncorrelated_between_positions():
    seeds = np.array([derive(i) for i in range(20_000)])
    first = uniforms(seeds, np.zeros_like(seeds))
    second = uniforms(seeds, np.ones_like(seeds))
    assert stats.kstest(first, "uniform").pvalue > 0.001
    assert stats.kstest(second, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(seeds))


def test_a_uniform_does_not_depend_on_its_neighbours():
    seeds, positions = np.array([5, 6, 7]), np.array([0, 3, 9])
    alone = uniforms(seeds[1:2], positions[1:2])
    assert uniforms(seeds, positions)[1] == alone[0]
