"""Strategies that draw whole solutions, for searching without a stored pool.

A study reads them from its pools instead (`testtime.sample`); `testtime search` and
`testtime solve` run them on the spot.
"""

from testtime.search.tree import Expand, Program, Score, Tree


def cot(tree: Tree) -> Program:
    """Chain of thought: one greedy solution."""
    return (yield Expand([tree.root], [1], stop="end", greedy=True))


def majority(tree: Tree) -> Program:
    """N independent solutions, no PRM: Wang et al. (2023), self-consistency, arXiv 2203.11171."""
    return (yield Expand([tree.root], [tree.budget], stop="end"))


def best_of_n(tree: Tree) -> Program:
    """N independent solutions, each scored by the PRM: Cobbe et al. (2021), arXiv 2110.14168."""
    samples = yield Expand([tree.root], [tree.budget], stop="end")
    return (yield Score(samples))
